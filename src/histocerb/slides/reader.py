"""`open_slide`: any slide, image or array behind one protocol."""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import ResolutionError, SlideError
from histocerb.core.geometry import Region
from histocerb.core.tasks import WORKING_MPP
from histocerb.slides import openslide_backend, tiff_backend
from histocerb.slides.array_backend import ArraySource, ImageSource
from histocerb.slides.pixels import Rgb8
from histocerb.slides.pyramid import LevelSource, PyramidSlide
from histocerb.slides.remote import RemoteFile, is_url
from histocerb.slides.remote_source import RemoteSource
from histocerb.slides.staging import Cache

_LEAST_MPP, _MOST_MPP = 0.05, 10.0
_WHOLE_FACTOR_TOLERANCE = 0.02
_ANISOTROPY_TOLERANCE = 0.02
_CACHE = Cache()


class Slide(Protocol):
    """What the rest of histocerb knows of a slide; safe from several threads, picklable without its file."""

    path: str
    """File, or `array`."""
    width_px: int
    """Level-0 pixels."""
    height_px: int
    mpp: float
    """Micrometres per level-0 pixel."""
    origin_px: tuple[int, int]
    """Level-0 pixel (x, y) that is (0, 0) in QuPath, which shows no more than what was scanned where a file
    tells it (MRXS and others); everything here counts from the corner of the file."""
    vendor: str
    """Format: aperio, hamamatsu, dicom, tiff, ome-tiff, png, jpeg, array ..."""

    def size_at(self, mpp: float) -> tuple[int, int]:
        """Width and height in pixels at `mpp`."""
        ...

    def read(self, region: Region, mpp: float) -> Rgb8:
        """H x W x 3 uint8 RGB of a region in pixels at `mpp`; white outside, the same bits for any cut."""
        ...

    def thumbnail(self, max_side_px: int) -> Rgb8:
        """The whole slide with at most `max_side_px` on its longer side."""
        ...

    def fingerprint(self) -> str:
        """Short hash of the content."""
        ...

    def close(self) -> None:
        """Let go of files; a later read opens them again."""
        ...


def open_slide(
    source: str | os.PathLike[str] | npt.NDArray[np.generic], mpp: float | None = None, cache: Cache = _CACHE
) -> Slide:
    """Open a slide.

    OpenSlide reads scanner formats, tifffile any other TIFF and OME-TIFF, Pillow plain images.

    Args:
        source: file, URL such as `s3://bucket/a.svs`, or an H x W (x 1..4) array of uint8 or uint16, RGB.
        mpp: micrometres per pixel; overrides what the file says.
        cache: where slides that have a URL are copied to.

    Raises:
        ResolutionError: the resolution is missing, anisotropic or absurd.
        SlideError: the file is missing, damaged or not an image.
    """
    levels = ArraySource(source) if isinstance(source, np.ndarray) else _source(os.fspath(source), cache)
    try:
        return PyramidSlide(levels, _isotropic_mpp(levels, mpp))
    except ResolutionError:
        levels.close()
        raise


def working_mpp(slide_mpp: float, target: float = WORKING_MPP) -> float:
    """The resolution to work at: a whole multiple of the slide's own where one is within 2 % of `target`.

    So pixels are averaged in whole blocks and coordinates stay exact: 0.499 and 0.2495 um/px are worked
    on at 0.499, 0.2 um/px at 0.5.
    """
    multiple = slide_mpp * max(1, round(target / slide_mpp))
    return multiple if abs(multiple - target) <= _WHOLE_FACTOR_TOLERANCE * target else target


def _source(path: str, cache: Cache) -> LevelSource:
    if is_url(path):
        return RemoteSource(RemoteFile(path), cache, _file_source)
    return _file_source(path)


def _file_source(path: str) -> LevelSource:
    _check_file(path)
    vendor = openslide_backend.detect(path)
    if vendor is not None:
        return openslide_backend.OpenSlideSource(path, vendor)
    if tiff_backend.detect(path):
        return tiff_backend.TiffSource(path)
    return ImageSource(path)


def _check_file(path: str) -> None:
    if not os.path.exists(path):
        raise SlideError(f"{path}: expected a slide, found no such file; check the path")
    if os.path.isdir(path):
        raise SlideError(f"{path}: expected a slide, found a folder; give one file inside it")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise SlideError(f"{path}: the file cannot be read ({error.strerror}); check its rights") from None
    if empty:
        raise SlideError(f"{path}: expected a slide, found an empty file; copy it again")


def _isotropic_mpp(levels: LevelSource, override: float | None) -> float:
    if override is not None:
        return _sane_mpp(levels.path, override)
    if levels.mpp_xy is None:
        raise ResolutionError(
            f"{levels.path}: expected the resolution in the file, found none; "
            "pass --mpp (mpp= in Python) with its micrometres per pixel"
        )
    across, down = levels.mpp_xy
    if not abs(across - down) <= _ANISOTROPY_TOLERANCE * min(abs(across), abs(down)):
        raise ResolutionError(
            f"{levels.path}: expected square pixels, found {across:g} x {down:g} um/px; "
            "pass --mpp with the right value if that is wrong, else resample the slide"
        )
    return _sane_mpp(levels.path, (across + down) / 2)


def _sane_mpp(path: str, mpp: float) -> float:
    if not _LEAST_MPP <= mpp <= _MOST_MPP:
        raise ResolutionError(
            f"{path}: expected a resolution of {_LEAST_MPP} to {_MOST_MPP:g} um/px, found {mpp:g}; "
            "pass --mpp with the right micrometres per pixel"
        )
    return mpp
