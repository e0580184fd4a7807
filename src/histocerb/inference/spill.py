"""Finished objects on disk until all are known, then read back in their final order.

The final order is that of the cells that own the objects (the window that holds an object's first pixel),
cells along a Morton curve so that neighbours in the file are neighbours on the slide, and within a cell that
of first pixels in raster order. It does not depend on the order in which objects were added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.core.geometry import WINDOW_OUTPUT_PX
from histocerb.core.instances import InstanceTable
from histocerb.core.outlines import Outlines

Cell = tuple[int, int]
"""(column, row) of a square of WINDOW_OUTPUT_PX working pixels."""

_FIELDS: list[pa.Field[Any]] = [
    pa.field("class_code", pa.int16()),
    pa.field("class_prob", pa.float32()),
    pa.field("score", pa.float32()),
    pa.field("area_px", pa.float64()),
    pa.field("place", pa.list_(pa.float64(), 6)),
    pa.field("first_px", pa.list_(pa.int64(), 2)),
    pa.field("geometry", pa.list_(pa.list_(pa.list_(pa.float64(), 2)))),
]
_SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True)
class _Batches:
    """Where the objects of a cell are: numbers of record batches, and how many objects."""

    numbers: list[int]
    rows: int


class Spill:
    """Objects of one kind, in an Arrow IPC file; written, by several threads if need be, then read."""

    def __init__(self, path: Path, kind: str, classes: tuple[str, ...]) -> None:
        self.kind = kind
        self.classes = classes
        self._path = path
        self._writer = pa.ipc.new_file(str(path), _SCHEMA)
        self._cells: dict[Cell, _Batches] = {}
        self._written = 0
        self._lock = Lock()
        self._file: pa.OSFile | None = None
        self._reader: Any = None

    def __len__(self) -> int:
        return sum(batches.rows for batches in self._cells.values())

    def add(self, table: InstanceTable) -> None:
        """Put objects aside."""
        cells = table.first_px[:, ::-1] // WINDOW_OUTPUT_PX
        owners, member = np.unique(cells, axis=0, return_inverse=True)
        for index, (column, row) in enumerate(owners):
            rows = np.flatnonzero(member == index)
            self._append((int(column), int(row)), _to_batch(table.select(rows)))

    def _append(self, cell: Cell, batch: pa.RecordBatch) -> None:
        with self._lock:
            self._writer.write_batch(batch)
            known = self._cells.get(cell, _Batches([], 0))
            self._cells[cell] = _Batches([*known.numbers, self._written], known.rows + len(batch))
            self._written += 1

    def seal(self) -> None:
        """No more objects come; from here on they can be read."""
        self._writer.close()
        self._file = pa.OSFile(str(self._path), "rb")  # a memory map would count as memory in use
        self._reader = pa.ipc.open_file(self._file)

    def close(self) -> None:
        """Let go of the file, whatever its state."""
        self._writer.close()
        if self._file is not None:
            self._reader = None
            self._file.close()

    def cells(self) -> list[Cell]:
        """The cells that own objects, in final order."""
        return sorted(self._cells, key=lambda cell: morton(*cell))

    def read(self, cell: Cell) -> InstanceTable:
        """Objects of one cell, in final order."""
        batches = [self._reader.get_batch(number) for number in self._cells[cell].numbers]
        table = InstanceTable.concat([_to_table(batch, self.kind, self.classes) for batch in batches])
        return table.select(np.lexsort(table.first_px.T[::-1]))

    def __iter__(self) -> Iterator[InstanceTable]:
        return (self.read(cell) for cell in self.cells())


def morton(column: int, row: int) -> int:
    """Place of a cell along the Morton (Z-order) curve: the bits of column and row interleaved."""
    code = 0
    for bit in range(max(column, row).bit_length()):
        code |= (column >> bit & 1) << 2 * bit | (row >> bit & 1) << 2 * bit + 1
    return code


def _to_batch(table: InstanceTable) -> pa.RecordBatch:
    place = np.concatenate([table.centroid, table.bbox], axis=1)
    columns: list[pa.Array[Any]] = [
        pa.array(table.class_code),
        pa.array(table.class_prob),
        pa.array(table.score),
        pa.array(table.area_px),
        _fixed_lists(place),
        _fixed_lists(table.first_px),
        _nested(table.outlines),
    ]
    return pa.record_batch(columns, schema=_SCHEMA)


def _fixed_lists(rows: npt.NDArray[Any]) -> pa.Array[Any]:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).reshape(-1)), rows.shape[1])


def _to_table(batch: pa.RecordBatch, kind: str, classes: tuple[str, ...]) -> InstanceTable:
    def column(name: str) -> npt.NDArray[Any]:
        values: Any = batch.column(name)
        if pa.types.is_fixed_size_list(values.type):
            return np.asarray(values.flatten()).reshape(len(values), -1)
        return np.asarray(values)

    place = column("place")
    return InstanceTable(
        kind=kind,
        classes=classes,
        class_code=column("class_code"),
        class_prob=column("class_prob"),
        score=column("score"),
        centroid=place[:, :2],
        area_px=column("area_px"),
        bbox=place[:, 2:],
        first_px=column("first_px"),
        outlines=_outlines(batch.column("geometry")),
    )


def _nested(outlines: Outlines) -> pa.Array[Any]:
    """Per object its rings, per ring its points."""
    rings = pa.ListArray.from_arrays(
        pa.array(outlines.ring_offsets, pa.int32()), _fixed_lists(outlines.points)
    )
    return pa.ListArray.from_arrays(pa.array(outlines.object_offsets, pa.int32()), rings)


def _outlines(objects: Any) -> Outlines:
    """The inverse of `_nested`."""
    rings = objects.values
    points = np.asarray(rings.values.values).reshape(-1, 2)
    return Outlines(points, *(np.asarray(lists.offsets, np.int64) for lists in (rings, objects)))
