"""The label map of containing objects (glands), painted in blocks when it is asked for."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from threading import Lock

import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import Region
from histocerb.core.instances import InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.inference.spill import Cell, Spill

BLOCK_PX = 504
CACHED_BLOCKS = 64
"""1 MB each."""
CACHED_CELLS = 64


class ContainerMap:
    """Labels 1, 2, ... of finished objects, numbered in their final order; 0 outside.

    Only bounding boxes stay in memory; outlines are loaded from the spill cell by cell. Safe to use from
    several threads.

    Attributes:
        factor: working pixels per pixel of the map.
    """

    def __init__(self, spill: Spill, factor: int) -> None:
        self._spill = spill
        self.factor = factor
        self._boxes, self._cell_of, self._row_of = _index(spill)
        self._cells = spill.cells()
        self._blocks: OrderedDict[tuple[int, int], npt.NDArray[np.int32]] = OrderedDict()
        self._tables: OrderedDict[Cell, InstanceTable] = OrderedDict()
        self._lock = Lock()

    def read(self, region: Region) -> npt.NDArray[np.int32]:
        """Labels of a region in pixels of the map."""
        out = np.zeros((region.height, region.width), np.int32)
        for row in range(region.y // BLOCK_PX, -(-region.bottom // BLOCK_PX)):
            for column in range(region.x // BLOCK_PX, -(-region.right // BLOCK_PX)):
                block = Region(column * BLOCK_PX, row * BLOCK_PX, BLOCK_PX, BLOCK_PX)
                part = block.intersect(region)
                out[part.slices(region)] = self._block(column, row, block)[part.slices(block)]
        return out

    def _block(self, column: int, row: int, block: Region) -> npt.NDArray[np.int32]:
        key = (column, row)
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = self._paint(block)
                if len(self._blocks) > CACHED_BLOCKS:
                    self._blocks.popitem(last=False)
            self._blocks.move_to_end(key)
            return self._blocks[key]

    def _paint(self, block: Region) -> npt.NDArray[np.int32]:
        left, top, right, bottom = (self._boxes / self.factor).T
        touches = (left < block.right) & (right > block.x) & (top < block.bottom) & (bottom > block.y)
        labels = np.flatnonzero(touches)
        if not len(labels):
            return np.zeros((block.height, block.width), np.int32)
        outlines = [
            self._table(self._cells[cell]).outlines.select(
                self._row_of[labels[self._cell_of[labels] == cell]]
            )
            for cell in np.unique(self._cell_of[labels])
        ]
        scaled = Outlines.concat(outlines).transform(1 / self.factor)
        # outlines end at the border of the slide, which may lie within a pixel of this map: it counts whole
        whole = replace(scaled, points=np.ceil(scaled.points))
        moved = whole.transform(1.0, (-block.x, -block.y))
        return moved.paint((block.height, block.width), (labels + 1).astype(np.int32))

    def _table(self, cell: Cell) -> InstanceTable:
        if cell not in self._tables:
            self._tables[cell] = self._spill.read(cell)
            if len(self._tables) > CACHED_CELLS:
                self._tables.popitem(last=False)
        self._tables.move_to_end(cell)
        return self._tables[cell]


def _index(
    spill: Spill,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bounding box, number of the cell and row within the cell of every object, in final order."""
    boxes, cell_of, row_of = [np.zeros((0, 4))], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for number, table in enumerate(spill):
        boxes.append(table.bbox)
        cell_of.append(np.full(len(table), number))
        row_of.append(np.arange(len(table)))
    return np.concatenate(boxes), np.concatenate(cell_of), np.concatenate(row_of)
