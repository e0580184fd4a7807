"""Pixels of a slide as JPEG: tiles of a pyramid, thumbnails, objects cut out."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from histocerb.core.colours import Rgb
from histocerb.core.geometry import Region
from histocerb.slides.reader import Slide

TILE_PX = 512
"""Side of a tile of the slide, without what it shares with its neighbours."""

OVERLAP_PX = 1
"""Pixels that a tile shares with each neighbour; without, viewers stretch tiles to hide seams."""

_QUALITY = 90
_EFFORT = 20
"""Of lossless WebP: an eighth of the time of the usual effort, for up to two and a half times the bytes."""
_CROP_MARGIN = 0.45
_LEAST_CROP_UM = 22.0

Picture = npt.NDArray[np.uint8]
Drawn = tuple[list[npt.NDArray[np.float32]], Rgb]
"""Rings of an outline, K x 2 in level-0 pixels, and their colour."""


def most_level(width_px: int, height_px: int) -> int:
    """The coarsest level: level n has one pixel for 2**n, and at the coarsest all fits into one tile."""
    return max(0, math.ceil(math.log2(max(width_px, height_px) / TILE_PX)))


def tile_region(slide: Slide, level: int, column: int, row: int) -> Region:
    """Pixels of a tile at its level, with what it shares with its neighbours; empty outside the slide.

    A last pixel that the slide covers only in part counts as its own, as viewers count it.
    """
    width, height = (math.ceil(side / 2**level) for side in (slide.width_px, slide.height_px))
    bounds = Region(0, 0, width, height)
    own = Region(column * TILE_PX, row * TILE_PX, TILE_PX, TILE_PX).intersect(bounds)
    return own if own.is_empty else own.grow(OVERLAP_PX).intersect(bounds)


def tile(slide: Slide, level: int, region: Region) -> bytes:
    """A tile as JPEG."""
    return jpeg(slide.read(region, slide.mpp * 2**level))


def thumbnail(slide: Slide, side_px: int) -> bytes:
    """The whole slide as JPEG with at most `side_px` on its longer side."""
    return jpeg(slide.thumbnail(side_px))


def crop(slide: Slide, box: npt.NDArray[np.float32], outlines: Sequence[Drawn], side_px: int) -> bytes:
    """An object in the middle of a square, its outlines drawn, as JPEG.

    Args:
        slide: where it is.
        box: left, top, right, bottom in level-0 pixels.
        outlines: with their colours, the last on top.
        side_px: of the square.
    """
    extent = max(float(box[2] - box[0]), float(box[3] - box[1])) * (1 + 2 * _CROP_MARGIN)
    extent = max(extent, _LEAST_CROP_UM / slide.mpp)
    step = max(extent / side_px, 1.0)  # the reader gives no finer pixels than its own
    side = math.ceil(extent / step)
    corner = np.floor(((box[:2] + box[2:]) / 2 - extent / 2) / step)
    read = slide.read(Region(int(corner[0]), int(corner[1]), side, side), slide.mpp * step)
    picture = np.asarray(cv2.resize(read, (side_px, side_px), interpolation=cv2.INTER_CUBIC), np.uint8)
    drawn = np.ascontiguousarray(picture)
    for rings, shade in outlines:
        shifted = [np.round((ring / step - corner) * side_px / side * 16).astype(np.int32) for ring in rings]
        cv2.polylines(drawn, shifted, True, shade, 2, cv2.LINE_AA, 4)
    return jpeg(drawn)


def jpeg(picture: Picture) -> bytes:
    """RGB pixels as JPEG with full colour resolution: stains differ in colour at single pixels."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def webp(picture: Picture) -> bytes:
    """RGBA pixels as lossless WebP."""
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "WEBP", lossless=True, quality=_EFFORT, method=0)
    return written.getvalue()
