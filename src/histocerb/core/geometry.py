"""Regions and the fixed grid of windows.

Points are (x, y), arrays [row, column]; regions are half-open; the origin is the upper left corner of
the slide and pixel *corners* have integer coordinates, so that a region of width 1 has area 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from histocerb.core.tasks import CELL_PX

WINDOW_OUTPUT_PX = 7 * CELL_PX
"""Side of the part of a full window that is kept: 1008 working pixels."""

MARGIN_PX = 152
"""Context on each side of a window; with it, window origins are 8 modulo 16 as in the paper's runs."""


@dataclass(frozen=True, order=True)
class Region:
    """A half-open rectangle of integer pixels: x..x+width, y..y+height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column that is no longer inside."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row that is no longer inside."""
        return self.y + self.height

    @property
    def is_empty(self) -> bool:
        """True when it has no pixel."""
        return self.width <= 0 or self.height <= 0

    def intersect(self, other: Region) -> Region:
        """The common part; of zero width or height when there is none."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        return Region(
            x, y, max(0, min(self.right, other.right) - x), max(0, min(self.bottom, other.bottom) - y)
        )

    def union(self, other: Region) -> Region:
        """The smallest region that contains both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Region(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def grow(self, margin_px: int) -> Region:
        """Larger by `margin_px` on every side."""
        return Region(
            self.x - margin_px, self.y - margin_px, self.width + 2 * margin_px, self.height + 2 * margin_px
        )

    def shift(self, dx: int, dy: int) -> Region:
        """Moved by (dx, dy)."""
        return Region(self.x + dx, self.y + dy, self.width, self.height)

    def contains(self, other: Region) -> bool:
        """True when `other` lies inside."""
        return self.union(other) == self

    def slices(self, origin: Region | None = None) -> tuple[slice, slice]:
        """Row and column slices of this region in an array that covers `origin` (default: begins at 0, 0)."""
        x, y = (origin.x, origin.y) if origin else (0, 0)
        return slice(self.y - y, self.bottom - y), slice(self.x - x, self.right - x)


@dataclass(frozen=True)
class Window:
    """One input of the network: `output` is kept, `input` is read (mirrored at the slide's border)."""

    column: int
    row: int
    output: Region
    input: Region


@dataclass(frozen=True)
class WindowGrid:
    """The windows of a slide: a function of its size at the working resolution only.

    Outputs are squares of `output_px`, a multiple of the tissue cell, aligned to the slide's origin; the
    last ones reach beyond its right and lower border.
    """

    width: int
    height: int
    output_px: int
    margin_px: int = MARGIN_PX

    @classmethod
    def of(cls, width: int, height: int) -> WindowGrid:
        """Grid for a slide of that size in working pixels; smaller windows where the slide is smaller."""
        cells = -(-max(width, height, 1) // CELL_PX)
        return cls(width, height, min(WINDOW_OUTPUT_PX, cells * CELL_PX))

    @property
    def columns(self) -> int:
        """Windows from left to right."""
        return -(-self.width // self.output_px)

    @property
    def rows(self) -> int:
        """Windows from top to bottom."""
        return -(-self.height // self.output_px)

    @property
    def bounds(self) -> Region:
        """The slide itself."""
        return Region(0, 0, self.width, self.height)

    def window(self, column: int, row: int) -> Window:
        """The window at (column, row)."""
        side = self.output_px
        output = Region(column * side, row * side, side, side)
        return Window(column, row, output, output.grow(self.margin_px))

    def __len__(self) -> int:
        return self.columns * self.rows

    def __iter__(self) -> Iterator[Window]:
        for row in range(self.rows):
            for column in range(self.columns):
                yield self.window(column, row)


def tiles(bounds: Region, side_px: int) -> Iterator[Region]:
    """Cut `bounds` into squares aligned to its origin, in raster order; the last ones are clipped."""
    for y in range(bounds.y, bounds.bottom, side_px):
        for x in range(bounds.x, bounds.right, side_px):
            yield Region(x, y, side_px, side_px).intersect(bounds)
