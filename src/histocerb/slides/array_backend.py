"""Images that are held in memory: arrays, and PNG, JPEG and the like through Pillow."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from histocerb.core.errors import SlideError
from histocerb.core.geometry import Region
from histocerb.slides.fingerprint import array_fingerprint, file_fingerprint
from histocerb.slides.pixels import Rgb8, rgb8
from histocerb.slides.pyramid import Level

_MOST_PIXELS = 1 << 30
"""Larger plain images would take gigabytes of memory at once."""

_PILLOW_LIMIT = threading.Lock()


class ArraySource:
    """One array as a slide of one level."""

    def __init__(self, pixels: npt.NDArray[np.generic]) -> None:
        self.path = "array"
        self.vendor = "array"
        self.origin_px = (0, 0)
        self.mpp_xy: tuple[float, float] | None = None
        self._pixels = rgb8(pixels, self.path)
        if self._pixels.size == 0:
            raise SlideError(f"array: expected an image, found shape {pixels.shape} without a pixel")
        self.levels: tuple[Level, ...] = (Level(self._pixels.shape[1], self._pixels.shape[0]),)

    def pixels(self, level: int, region: Region) -> Rgb8:
        """Pixels of a region; see `LevelSource`."""
        return self._pixels[region.slices()]

    def fingerprint(self) -> str:
        """Hash of all pixels."""
        return array_fingerprint(self._pixels)

    def close(self) -> None:
        """Nothing is open."""


class ImageSource:
    """A PNG, JPEG, BMP or similar file, decoded as a whole at the first read.

    Resolution tags of such files describe paper or screens, so that `mpp_xy` is never taken from them.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.mpp_xy: tuple[float, float] | None = None
        image = _open(path)
        self.vendor = str(image.format).lower()
        self.origin_px = (0, 0)
        self.levels: tuple[Level, ...] = (Level(*image.size),)
        image.close()
        self._pixels: Rgb8 | None = None
        self._lock = threading.Lock()

    def pixels(self, level: int, region: Region) -> Rgb8:
        """Pixels of a region; see `LevelSource`."""
        with self._lock:
            if self._pixels is None:
                self._pixels = _decode(self.path)
            return self._pixels[region.slices()]

    def fingerprint(self) -> str:
        """Hash of the file."""
        return file_fingerprint(self.path, self.levels[0].width, self.levels[0].height)

    def close(self) -> None:
        """Free the pixels; a later read decodes them again."""
        with self._lock:
            self._pixels = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_pixels": None, "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def _open(path: str) -> Image.Image:
    """Open with a limit of our own: Pillow's is global and below the size of usual slide crops."""
    try:
        with _PILLOW_LIMIT:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError:
        raise SlideError(
            f"{path}: expected a slide or image, found a file that no reader knows; "
            "give an SVS, NDPI, MRXS, DICOM, TIFF, PNG or JPEG file that is complete"
        ) from None
    except Exception as error:  # decoders raise anything on damaged headers
        raise SlideError(f"{path}: the image cannot be opened ({error}); give an intact file") from None
    if image.width * image.height > _MOST_PIXELS:
        image.close()
        raise SlideError(
            f"{path}: expected a plain image of at most {_MOST_PIXELS} pixels, found {image.width} x "
            f"{image.height}; convert it to a tiled TIFF, which is read in parts"
        )
    return image


def _decode(path: str) -> Rgb8:
    try:
        with _open(path) as image:
            return rgb8(_planes(image), path)
    except SlideError:
        raise
    except Exception as error:  # as above
        raise SlideError(
            f"{path}: the image cannot be decoded ({error}); it is truncated or damaged, copy it again"
        ) from None


def _planes(image: Image.Image) -> npt.NDArray[np.generic]:
    """Pixels as grey, RGB or RGBA; palettes, CMYK and the like are converted by Pillow."""
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("1", "L", "RGB"):
        transparent = "transparency" in image.info
        return np.asarray(image.convert("RGBA") if transparent else image)
    if image.mode in ("I", "F"):
        raise SlideError(f"expected 8-bit or 16-bit pixels, found Pillow mode {image.mode}")
    opaque = image.mode in ("CMYK", "YCbCr", "LAB", "HSV") or not image.has_transparency_data
    return np.asarray(image.convert("RGB" if opaque else "RGBA"))
