"""Whatever a file stores becomes 8-bit RGB by one set of rules.

Grey is repeated, transparency is laid on white (colours that were multiplied by their opacity are not again),
16-bit values are scaled by their full range (65535 becomes
255) whatever the image contains, so that a pixel never depends on its neighbours.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.errors import SlideError

Rgb8 = npt.NDArray[np.uint8]
"""H x W x 3, red first."""


def rgb8(pixels: npt.NDArray[np.generic], path: str, *, premultiplied: bool = False) -> Rgb8:
    """Convert H x W, or H x W x 1..4 (grey, grey + alpha, RGB, RGBA) of uint8, uint16 or bool.

    Args:
        pixels: the image.
        path: where it came from, for the error.
        premultiplied: True where colours have been multiplied by their opacity.

    Raises:
        SlideError: for any other shape or type.
    """
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    if planes.ndim != 3 or planes.shape[2] not in (1, 2, 3, 4):
        raise SlideError(
            f"{path}: expected an H x W or H x W x 1..4 image, found shape {pixels.shape}; "
            "convert it to an RGB image"
        )
    values = _eight_bit(planes, path)
    if planes.shape[2] in (2, 4):
        values = _over_white(values) if premultiplied else _on_white(values)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def cmyk_to_rgb(pixels: Rgb8) -> Rgb8:
    """Ink coverage (H x W x 4, 255 is full ink) to RGB, without a colour profile."""
    paper = 255 - pixels.astype(np.uint32)
    return ((paper[..., :3] * paper[..., 3:] + 127) // 255).astype(np.uint8)


def ycbcr_to_rgb(pixels: Rgb8) -> Rgb8:
    """Planes Y, Cb, Cr (JPEG's full range) to RGB."""
    return np.asarray(cv2.cvtColor(pixels[..., [0, 2, 1]], cv2.COLOR_YCrCb2RGB), np.uint8)


def _eight_bit(values: npt.NDArray[np.generic], path: str) -> Rgb8:
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    raise SlideError(
        f"{path}: expected 8-bit or 16-bit unsigned pixels, found {values.dtype}; convert it to 8-bit RGB"
    )


def _on_white(values: Rgb8) -> Rgb8:
    """Drop the last sample, which is opacity."""
    alpha = values[..., -1:]
    if values.shape[2] == 4 and values.size and alpha.min() == 255:  # the usual case of OpenSlide, quickly
        return np.asarray(cv2.cvtColor(values, cv2.COLOR_RGBA2RGB), np.uint8)
    opacity = alpha.astype(np.uint32)
    return ((values[..., :-1] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def _over_white(values: Rgb8) -> Rgb8:
    """The same where the others have been multiplied by it."""
    white = values[..., :-1].astype(np.uint16) + (255 - values[..., -1:])
    return np.asarray(np.minimum(white, 255), np.uint8)
