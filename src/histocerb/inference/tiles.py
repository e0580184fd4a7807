"""Post-processing tiles: groups of windows, ready when the maps around them are complete."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from histocerb.core.geometry import Region, Window, WindowGrid

Tile = tuple[int, int]
"""(column, row) in units of tiles."""


class TileTracker:
    """Tells which tiles have all windows that they touch, including the ring of windows around them.

    Only tiles with tissue in or beside them are ever ready; all others are empty. Tiles are told in raster
    order, whatever the order of windows: an object is computed when the last tile that it touches is there,
    and what lies within a hole of it, which may be larger than a tile, lies above that one.
    """

    def __init__(self, grid: WindowGrid, windows: Iterable[Window], tile_windows: int) -> None:
        self._grid = grid
        self._side = tile_windows
        self._missing: Counter[Tile] = Counter()
        for window in windows:
            self._missing.update(self._tiles_of(window))
        self._waiting = deque(sorted(self._missing, key=lambda tile: tile[::-1]))
        self.total = len(self._missing)

    def tiles(self) -> list[Region]:
        """All tiles that have not been told yet, in raster order, in working pixels within the slide."""
        return [self._region(tile) for tile in self._waiting]

    def complete(self, window: Window) -> list[Region]:
        """Tiles that become ready because this window has its maps now, and those that waited for them."""
        self._missing.subtract(self._tiles_of(window))
        ready = []
        while self._waiting and not self._missing[self._waiting[0]]:
            ready.append(self._region(self._waiting.popleft()))
        return ready

    def _tiles_of(self, window: Window) -> Iterator[Tile]:
        """Tiles that hold the window or one of its neighbours."""
        for row in _span(window.row, self._grid.rows, self._side):
            for column in _span(window.column, self._grid.columns, self._side):
                yield column, row

    def _region(self, tile: Tile) -> Region:
        side = self._side * self._grid.output_px
        region = Region(tile[0] * side, tile[1] * side, side, side)
        return region.intersect(self._grid.bounds)


def _span(index: int, count: int, side: int) -> range:
    return range(max(index - 1, 0) // side, min(index + 1, count - 1) // side + 1)
