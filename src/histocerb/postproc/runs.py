"""4-connected regions as runs of pixels: found in one pass, measured without one, painted when wanted.

A run is a piece of a row of equal value. Most of what is asked of regions (how many, how large, where they
begin) is answered by their runs, of which there are far fewer than pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histocerb.core.compiled import compiled
from histocerb.postproc.arrays import I32, I64, U8, Bool


@dataclass(frozen=True)
class Runs:
    """The runs of a map, in raster order.

    Attributes:
        shape: of the map, rows and columns.
        start: per run, flat index of its first pixel.
        stop: per run, flat index after its last one.
        number: per run, its region: 1..count in raster order of first pixels.
        count: how many regions there are.
    """

    shape: tuple[int, int]
    start: I32
    stop: I32
    number: I32
    count: int

    def areas(self) -> I64:
        """Pixels per region: count + 1, entry 0 is 0."""
        pixels = np.bincount(self.number, self.stop - self.start, minlength=self.count + 1)
        return pixels.astype(np.int64)

    def first(self) -> I64:
        """Flat index of the first pixel of each region in raster order: `count`."""
        return _first(self.start, self.number, self.count)

    def at_border(self) -> Bool:
        """Which runs touch the border of the map."""
        height, width = self.shape
        row = self.start // max(width, 1)
        ends = (self.start == row * width) | (self.stop == (row + 1) * width)
        return np.asarray(ends | (row == 0) | (row == height - 1))

    def paint(self, values: I32 | None = None) -> I32:
        """The map of region numbers, or of a value per region (count + 1, entry 0 unused); 0 elsewhere."""
        painted = self.number if values is None else values[self.number]
        return _paint(self.start, self.stop, painted, self.shape[0] * self.shape[1]).reshape(self.shape)


def find_runs(values: U8 | I32, zero_too: bool = False) -> Runs:
    """The 4-connected regions of equal value.

    Args:
        values: H x W, C-contiguous.
        zero_too: those of value 0 as well.
    """
    height, width = values.shape
    if not values.size:
        none = np.zeros(0, np.int32)
        return Runs((height, width), none, none, none, 0)
    return Runs((height, width), *_find(values.ravel(), width, zero_too))


@compiled
def _root(parent: I32, run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@compiled
def _twice(array: I32) -> I32:
    larger = np.empty(2 * array.size, np.int32)
    larger[: array.size] = array
    return larger


@compiled
def _find(values: U8 | I32, width: int, zero_too: bool) -> tuple[I32, I32, I32, int]:
    """Union-find over runs: an entry of `parent` points to an earlier run, a root to itself."""
    room = max(1024, values.size // 16)
    start, stop, parent = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    runs, above, above_end = 0, 0, 0
    for row in range(values.size // width):
        first, pixel, end = runs, row * width, (row + 1) * width
        if runs + width > start.size:
            start, stop, parent = _twice(start), _twice(stop), _twice(parent)
            while runs + width > start.size:
                start, stop, parent = _twice(start), _twice(stop), _twice(parent)
        while pixel < end:
            value, begin = values[pixel], pixel
            pixel += 1
            while pixel < end and values[pixel] == value:
                pixel += 1
            if value == 0 and not zero_too:
                continue
            while above < above_end and stop[above] <= begin - width:
                above += 1
            root, over = runs, above
            while over < above_end and start[over] < pixel - width:
                if values[start[over]] == value:
                    other = _root(parent, over)
                    if other < root:
                        if root != runs:
                            parent[root] = other
                        root = other
                    elif other > root:
                        parent[other] = root
                over += 1
            start[runs], stop[runs], parent[runs] = begin, pixel, root
            runs += 1
        above, above_end = first, runs
    count = 0
    for run in range(runs):
        if parent[run] == run:
            count += 1
            parent[run] = count
        else:
            parent[run] = parent[parent[run]]
    return start[:runs].copy(), stop[:runs].copy(), parent[:runs].copy(), count


@compiled
def _first(start: I32, number: I32, count: int) -> I64:
    first = np.empty(count, np.int64)
    found = 0
    for run in range(start.size):
        if number[run] > found:
            first[found] = start[run]
            found += 1
    return first


@compiled
def _paint(start: I32, stop: I32, values: I32, size: int) -> I32:
    painted = np.zeros(size, np.int32)
    for run in range(start.size):
        value = values[run]
        if value != 0:
            for pixel in range(start[run], stop[run]):
                painted[pixel] = value
    return painted
