"""From the levels that a file stores to pixels at any resolution.

A backend is a `LevelSource`: it names its levels and gives pixels of one of them. `PyramidSlide` adds
what is the same for all: the choice of level, the resampling, white outside, fingerprint, thumbnail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from histocerb.core.errors import CorruptSlideError, SlideError
from histocerb.core.geometry import Region
from histocerb.slides.pixels import Rgb8
from histocerb.slides.resample import resample, taps

_PIECE_PX = 1 << 24
"""At most about so many source pixels are held at once."""

_INEXACT_RATIO = 8.0
"""Levels that a library can only give shifted by part of a pixel are used from this reduction on."""

_SNAP = 1e-6


@dataclass(frozen=True)
class Level:
    """One resolution that a file stores.

    Attributes:
        width: in its own pixels.
        height: in its own pixels.
        exact: False where the library resamples it, so that it is only good for overviews.
    """

    width: int
    height: int
    exact: bool = True


class LevelSource(Protocol):
    """What a backend gives; picklable without its handle and safe from several threads."""

    path: str
    vendor: str
    mpp_xy: tuple[float, float] | None
    """Micrometres per level-0 pixel along x and y, None when unknown."""
    levels: tuple[Level, ...]
    """Finest first."""
    origin_px: tuple[int, int]
    """See `histocerb.slides.reader.Slide`."""

    def pixels(self, level: int, region: Region) -> Rgb8:
        """Pixels of a region (in pixels of that level, within it)."""
        ...

    def fingerprint(self) -> str:
        """Short hash of the content."""
        ...

    def close(self) -> None:
        """Let go of files; a later read opens them again."""
        ...


class PyramidSlide:
    """A slide of any backend, see `histocerb.slides.reader.Slide`."""

    def __init__(self, source: LevelSource, mpp: float) -> None:
        self._source = source
        self.path = source.path
        self.vendor = source.vendor
        self.mpp = mpp
        self.width_px = source.levels[0].width
        self.height_px = source.levels[0].height
        self.origin_px = source.origin_px
        self._downsamples = tuple(downsample(source.levels[0], level) for level in source.levels)

    def size_at(self, mpp: float) -> tuple[int, int]:
        """Width and height in pixels at `mpp`, rounded to nearest, at least 1."""
        scale = self._scale(mpp)
        return max(1, int(self.width_px / scale + 0.5)), max(1, int(self.height_px / scale + 0.5))

    def read(self, region: Region, mpp: float) -> Rgb8:
        """Pixels of `region`, given in pixels at `mpp`; white outside the slide.

        A pixel depends on its position only: reading a part gives the same bits as reading more and
        cutting it out.

        Returns:
            region.height x region.width x 3 uint8 RGB.

        Raises:
            CorruptSlideError: part of the region cannot be decoded.
        """
        out = np.full((region.height, region.width, 3), 255, np.uint8)
        scale = self._scale(mpp)
        inner = region.intersect(Region(0, 0, *self.size_at(mpp)))
        if inner.is_empty:
            return out
        number = self._best_level(scale)
        ratios = tuple(_snap(scale / factor) for factor in self._downsamples[number])
        for piece in _pieces(inner, ratios[0], ratios[1]):
            out[piece.slices(region)] = self._read_piece(number, piece, ratios[0], ratios[1])
        return out

    def thumbnail(self, max_side_px: int) -> Rgb8:
        """The whole slide, reduced so that its longer side has at most `max_side_px` pixels."""
        mpp = self.mpp * max(1.0, max(self.width_px, self.height_px) / max_side_px)
        width, height = self.size_at(mpp)
        return self.read(Region(0, 0, width, height), mpp)

    def fingerprint(self) -> str:
        """Short hash of the content, the same wherever the file lies; reads a few hundred kilobytes."""
        return self._source.fingerprint()

    def close(self) -> None:
        """Let go of files; a later read opens them again."""
        self._source.close()

    def _scale(self, mpp: float) -> float:
        if not mpp > 0:
            raise SlideError(f"{self.path}: expected a positive resolution in um/px to read at, found {mpp}")
        return _snap(mpp / self.mpp)

    def _best_level(self, scale: float) -> int:
        fitting = [n for n, factor in enumerate(self._downsamples) if max(factor) <= scale * (1 + _SNAP)]
        exact = [n for n in fitting if self._source.levels[n].exact]
        best = max(exact, key=self._downsamples.__getitem__, default=0)
        if scale / self._downsamples[best][0] > _INEXACT_RATIO:
            best = max(fitting, key=self._downsamples.__getitem__)
        return best

    def _read_piece(self, number: int, piece: Region, ratio_x: float, ratio_y: float) -> Rgb8:
        if ratio_x == 1 and ratio_y == 1:
            return self._read_whole_pixels(number, piece)
        level = self._source.levels[number]
        columns = taps(piece.x, piece.right, ratio_x, level.width)
        rows = taps(piece.y, piece.bottom, ratio_y, level.height)
        region = Region(columns.first, rows.first, columns.stop - columns.first, rows.stop - rows.first)
        return resample(self._source.pixels(number, region), rows, columns)

    def _read_whole_pixels(self, number: int, piece: Region) -> Rgb8:
        level = self._source.levels[number]
        # a level may lack the last, partly covered pixel: its neighbour continues
        inner = piece.intersect(Region(0, 0, level.width, level.height))
        if inner.is_empty:
            inner = Region(min(piece.x, level.width - 1), min(piece.y, level.height - 1), 1, 1)
        pixels = self._source.pixels(number, inner)
        if inner == piece:
            return pixels
        rows = np.clip(np.arange(piece.y, piece.bottom), inner.y, inner.bottom - 1) - inner.y
        columns = np.clip(np.arange(piece.x, piece.right), inner.x, inner.right - 1) - inner.x
        return pixels[rows[:, None], columns[None, :]]


def downsample(base: Level, level: Level) -> tuple[float, float]:
    """Level-0 pixels per pixel of `level` along x and y.

    Scanners reduce by a whole factor and drop or pad the last pixel, so that the ratio of sizes is a
    little off and would shift the far side of a slide. Where some whole factor explains both sizes it is
    taken, a power of two first.
    """
    ratio = max(base.width / level.width, base.height / level.height)
    whole = [
        factor
        for factor in range(max(1, int(ratio * 0.5)), int(ratio * 1.5) + 2)
        if _explains(factor, base.width, level.width) and _explains(factor, base.height, level.height)
    ]
    if not whole:
        return base.width / level.width, base.height / level.height
    factor = min(whole, key=lambda k: (k & (k - 1) != 0, abs(k - ratio)))
    return float(factor), float(factor)


def corrupt(source: LevelSource, number: int, region: Region, reason: str) -> CorruptSlideError:
    """The error for pixels of level `number` that cannot be decoded, naming the place in level-0 pixels."""
    across, down = downsample(source.levels[0], source.levels[number])
    x, y = int(region.x * across), int(region.y * down)
    width, height = int(region.width * across + 0.5), int(region.height * down + 0.5)
    return CorruptSlideError(
        f"{source.path}: the {width} x {height} px at x={x}, y={y} (level 0) cannot be decoded ({reason}); "
        "the file is damaged there, copy it again from where it came"
    )


def _explains(factor: int, base: int, reduced: int) -> bool:
    return reduced in (base // factor, -(-base // factor))


def _snap(value: float) -> float:
    """The nearest whole number when it is that up to rounding errors."""
    whole = round(value)
    return float(whole) if whole >= 1 and abs(value - whole) <= _SNAP * whole else value


def _pieces(region: Region, ratio_x: float, ratio_y: float) -> Iterator[Region]:
    """Cut into bands, and columns where needed, that take at most about `_PIECE_PX` source pixels each."""
    width = min(region.width, max(1, int(_PIECE_PX / max(1.0, ratio_x * ratio_y))))
    height = max(1, int(_PIECE_PX / max(1.0, width * ratio_x * ratio_y)))
    for y in range(region.y, region.bottom, height):
        for x in range(region.x, region.right, width):
            yield Region(x, y, width, height).intersect(region)
