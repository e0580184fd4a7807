"""Scanner formats through OpenSlide: SVS, NDPI, SCN, MRXS, VMS, BIF, CZI, DICOM, Philips and others."""

from __future__ import annotations

import os

import numpy as np
import openslide

from histocerb.core.errors import SlideError
from histocerb.core.geometry import Region, tiles
from histocerb.slides.dicom_colour import is_untagged_ycbcr
from histocerb.slides.fingerprint import file_fingerprint
from histocerb.slides.pixels import Rgb8, rgb8, ycbcr_to_rgb
from histocerb.slides.pyramid import Level, corrupt
from histocerb.slides.tiff_layout import is_plain_colour, mpp_from_tags

_CACHE_BYTES = 64 << 20
_BLOCK_PX = 512
_PLAIN_TIFF = "generic-tiff"


def detect(path: str) -> str | None:
    """Name of the format in OpenSlide's words, or None where it knows none.

    Of plain TIFFs it takes the tiled ones in 8-bit colour, and notices damage in their JPEG tiles that
    other decoders paint over; grey, 16-bit and OME-TIFF are left to tifffile.
    """
    vendor: str | None = openslide.OpenSlide.detect_format(path)
    return None if vendor == _PLAIN_TIFF and not is_plain_colour(path) else vendor


class OpenSlideSource:
    """Levels of a slide that OpenSlide knows. Coordinates are the file's own: bounds are not subtracted."""

    def __init__(self, path: str, vendor: str) -> None:
        self.path = path
        self.vendor = vendor
        self._handle: tuple[int, openslide.OpenSlide] | None = None
        slide = self._slide()
        properties = slide.properties
        self.mpp_xy = _mpp_xy(properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y"))
        if vendor == _PLAIN_TIFF:
            self.mpp_xy = mpp_from_tags(path)
        self.origin_px = (
            _whole(properties.get("openslide.bounds-x")),
            _whole(properties.get("openslide.bounds-y")),
        )
        self._quickhash = properties.get("openslide.quickhash-1", "")
        self._downsamples = tuple(slide.level_downsamples)
        self.levels = tuple(
            Level(width, height, exact=factor == round(factor))
            for (width, height), factor in zip(slide.level_dimensions, self._downsamples, strict=True)
        )
        self._ycbcr = vendor == "dicom" and is_untagged_ycbcr(self._overview())

    def pixels(self, level: int, region: Region) -> Rgb8:
        """Pixels of a region of one level; see `LevelSource`."""
        pixels = (self._exact if self.levels[level].exact else self._blockwise)(level, region)
        return ycbcr_to_rgb(pixels) if self._ycbcr else pixels

    def fingerprint(self) -> str:
        """Hash of the file and of OpenSlide's own hash, which covers formats of many files."""
        base = self.levels[0]
        return file_fingerprint(self.path, base.width, base.height, self._quickhash)

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle[1].close()

    def _exact(self, level: int, region: Region) -> Rgb8:
        factor = self._downsamples[level]
        origin = (int(region.x * factor), int(region.y * factor))
        return self._decode(level, origin, region)

    def _blockwise(self, level: int, region: Region) -> Rgb8:
        """Always the same blocks: OpenSlide shifts such a level by part of a pixel, depending on the cut."""
        size = Region(0, 0, self.levels[level].width, self.levels[level].height)
        out = np.empty((region.height, region.width, 3), np.uint8)
        factor = self._downsamples[level]
        for block in tiles(size, _BLOCK_PX):
            part = block.intersect(region)
            if not part.is_empty:
                origin = (round(block.x * factor), round(block.y * factor))
                out[part.slices(region)] = self._decode(level, origin, block)[part.slices(block)]
        return out

    def _decode(self, level: int, origin: tuple[int, int], region: Region) -> Rgb8:
        """Read with the shared handle, and once more with one that no other thread uses.

        A handle is spoilt for good by its first error, which another thread may have met elsewhere.
        """
        try:
            return self._try(self._slide(), level, origin, region)
        except openslide.OpenSlideError:
            self._handle = None
        own = _open(self.path, self.vendor)
        try:
            return self._try(own, level, origin, region)
        except openslide.OpenSlideError as error:
            place = self._damaged(level, region) if self.levels[level].exact else region
            raise corrupt(self, level, place, str(error)) from None
        finally:
            own.close()

    def _try(self, slide: openslide.OpenSlide, level: int, origin: tuple[int, int], region: Region) -> Rgb8:
        return rgb8(np.asarray(slide.read_region(origin, level, (region.width, region.height))), self.path)

    def _damaged(self, level: int, region: Region) -> Region:
        """The first block of a region that cannot be decoded, to name the place."""
        factor = self._downsamples[level]
        for block in tiles(region, _BLOCK_PX):
            slide = _open(self.path, self.vendor)
            try:
                self._try(slide, level, (int(block.x * factor), int(block.y * factor)), block)
            except openslide.OpenSlideError:
                return block
            finally:
                slide.close()
        return region

    def _overview(self) -> Rgb8:
        """The coarsest level that still has a few thousand pixels."""
        number = max(n for n, level in enumerate(self.levels) if n == 0 or level.width * level.height > 4096)
        level = self.levels[number]
        region = Region(0, 0, min(level.width, 2048), min(level.height, 2048))
        return self._blockwise(number, region)

    def _slide(self) -> openslide.OpenSlide:
        handle = self._handle
        if handle is None or handle[0] != os.getpid():  # a forked process must not share file positions
            handle = (os.getpid(), _open(self.path, self.vendor))
            self._handle = handle
        return handle[1]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_handle": None}


def _open(path: str, vendor: str) -> openslide.OpenSlide:
    try:
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideError as error:
        reason = str(error).replace(f"Reading {path}: ", "")
        raise SlideError(
            f"{path}: OpenSlide takes this for {vendor} but cannot open it ({reason}); "
            "give a complete whole-slide image or convert it to a pyramidal TIFF"
        ) from None
    slide.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
    return slide


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.lstrip("-").isdecimal() else 0


def _mpp_xy(across: str | None, down: str | None) -> tuple[float, float] | None:
    if across is None or down is None:
        return None
    try:
        return float(across), float(down)
    except ValueError:
        return None
