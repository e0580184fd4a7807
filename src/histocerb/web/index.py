"""All objects of a slide in memory but their outlines: about 60 bytes each, found by place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from histocerb.analysis.objects import Box, container_column, object_classes
from histocerb.core.errors import OutputError, UsageError
from histocerb.core.tasks import TaskSpec

CELL_SIDE_PX = 512
"""Side of the squares by which objects are found, in level-0 pixels."""

NO_WORD = -1
"""Code of a class or tissue that an object does not have."""

Rows = npt.NDArray[np.int64]
Column = npt.NDArray[Any]

_NUMBERS = ("class_prob", "score", "x", "y", "area_um2")
_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Grid:
    """Rows of one kind, sorted by square: those of square n are rows[bounds[n]:bounds[n + 1]].

    Attributes:
        columns: squares from left to right.
        lines: squares from top to bottom.
        rows: row numbers of the table.
        bounds: columns * lines + 1.
        reach_px: how far an object reaches beyond its centroid, at most.
    """

    columns: int
    lines: int
    rows: Rows
    bounds: Rows
    reach_px: float

    def near(self, box: Box) -> Rows:
        """Rows of all squares that a box touches."""
        left, top, right, bottom = (int(value // CELL_SIDE_PX) for value in box)
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.columns - 1), min(bottom, self.lines - 1)
        if left > right or top > bottom:
            return np.zeros(0, np.int64)
        begin = [line * self.columns + left for line in range(top, bottom + 1)]
        return np.concatenate([self.rows[self.bounds[n] : self.bounds[n + right - left + 1]] for n in begin])


@dataclass(frozen=True)
class ObjectIndex:
    """Columns of `objects.parquet`, one value per row, in the order of the file.

    Attributes:
        spec: tasks of the model.
        kinds: words of `kind`.
        classes: words of `class_code`.
        tissues: words of `tissue`.
        columns: object_id, kind, class_code, class_prob (NaN where there is none), score, x, y, area_um2,
            container (0 outside), tissue.
        boxes: N x 4 float32: left, top, right, bottom.
        group_bounds: first row of every row group of the file, and the number of rows.
        width_px: of the slide.
        height_px: of the slide.
    """

    spec: TaskSpec
    kinds: tuple[str, ...]
    classes: tuple[str, ...]
    tissues: tuple[str, ...]
    columns: dict[str, Column]
    boxes: npt.NDArray[np.float32]
    group_bounds: Rows
    width_px: int
    height_px: int

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def stored_bytes(self) -> int:
        """Memory of the columns and grids."""
        return sum(column.nbytes for column in self.columns.values()) + self.boxes.nbytes + 8 * len(self)

    @cached_property
    def grids(self) -> tuple[Grid, ...]:
        """Per kind."""
        return tuple(self._grid(code) for code in range(len(self.kinds)))

    def kind_code(self, kind: str) -> int:
        """Code of a kind.

        Raises:
            UsageError: There is no such kind.
        """
        if kind not in self.kinds:
            raise UsageError(f"expected a kind of {', '.join(self.kinds)}, found {kind!r}")
        return self.kinds.index(kind)

    def row_of(self, object_id: int) -> int:
        """Row of an object.

        Raises:
            UsageError: There is no such object.
        """
        rows = np.flatnonzero(self.columns["object_id"] == object_id)
        if len(rows) != 1:
            raise UsageError(f"expected the id of an object, found {object_id}; ids begin at 1")
        return int(rows[0])

    def inside(self, kind_code: int, box: Box) -> Rows:
        """Rows of a kind whose centroids lie in a half-open box, in the order of the file."""
        rows = self.grids[kind_code].near(box)
        x, y = self.columns["x"][rows], self.columns["y"][rows]
        left, top, right, bottom = box
        return np.sort(rows[(x >= left) & (x < right) & (y >= top) & (y < bottom)])

    def confident(self, rows: Rows, least: float) -> Rows:
        """Those whose class has at least this probability, or that have none."""
        if least <= 0:
            return rows
        return rows[~(self.columns["class_prob"][rows] < least)]

    def _grid(self, code: int) -> Grid:
        rows = np.flatnonzero(self.columns["kind"] == code)
        columns, lines = (max(1, -(-side // CELL_SIDE_PX)) for side in (self.width_px, self.height_px))
        x, y = self.columns["x"][rows], self.columns["y"][rows]
        cell_x = np.clip(x // CELL_SIDE_PX, 0, columns - 1).astype(np.int64)
        cell_y = np.clip(y // CELL_SIDE_PX, 0, lines - 1).astype(np.int64)
        cell = cell_y * columns + cell_x
        bounds = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=columns * lines))])
        boxes, centre = self.boxes[rows], np.stack([x, y], axis=1)
        reach = np.maximum(centre - boxes[:, :2], boxes[:, 2:] - centre)
        order = np.argsort(cell, kind="stable")
        return Grid(columns, lines, rows[order], bounds, float(reach.max(initial=0.0)))


def read_index(path: Path, spec: TaskSpec, size_px: tuple[int, int]) -> ObjectIndex:
    """Read the columns of an object table.

    Args:
        path: `objects.parquet`.
        spec: tasks of the model that made it.
        size_px: width and height of the slide.

    Raises:
        OutputError: The table is damaged.
    """
    container = container_column(spec)
    names = ["object_id", "kind", "class", "tissue", "bbox", *_NUMBERS, *([container] if container else [])]
    try:
        with pq.ParquetFile(path) as file:
            counts = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            table = file.read(columns=names)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise OutputError(
            f"expected a table of objects, found a damaged file {path.name} ({error}); "
            "run histocerb segment again"
        ) from error
    kinds = tuple(task.kind for task in spec.objects)
    classes = object_classes(spec)
    tissues = spec.patch.classes if spec.patch else ()
    columns: dict[str, Column] = {name: _numbers(table[name]) for name in _NUMBERS}
    columns["object_id"] = np.asarray(table["object_id"], np.int64)
    for name, words in (("kind", kinds), ("class", classes), ("tissue", tissues)):
        columns["class_code" if name == "class" else name] = _codes(table[name], words)
    columns["container"] = _ids(table[container]) if container else np.zeros(len(table), np.int64)
    sides = [np.asarray(pc.struct_field(table["bbox"], side), np.float32) for side in _SIDES]
    boxes = np.stack(sides, axis=1)
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ObjectIndex(spec, kinds, classes, tissues, columns, boxes, bounds, *size_px)


def _numbers(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.float32]:
    """Nulls become NaN."""
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), np.float32)


def _ids(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.int64]:
    """Nulls become 0."""
    known: Any = column
    return np.asarray(known.fill_null(0), np.int64)


def _codes(column: pa.ChunkedArray[Any], words: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """Codes into `words`, whatever order the dictionaries of the file have."""
    parts = [np.zeros(0, np.int8)]
    for chunk in column.chunks:
        encoded: Any = chunk
        own = encoded.dictionary.to_pylist()
        known = [words.index(word) if word in words else NO_WORD for word in own]
        indices = pc.fill_null(encoded.indices.cast(pa.int64()), len(own))
        parts.append(np.array([*known, NO_WORD], np.int8)[np.asarray(indices)])
    return np.concatenate(parts)
