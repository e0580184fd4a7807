"""All objects of a slide in memory but their outlines: about 60 bytes each, found by place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from histocerb.analysis.objects import Box, container_column, object_classes
from histocerb.core.colours import CLASS_COLOURS, UNKNOWN_COLOUR, Rgb
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
        reaches_px: per square, how far its objects reach beyond their centroids, at most.
        diameter_um: of a disc with the median area.
    """

    columns: int
    lines: int
    rows: Rows
    bounds: Rows
    reaches_px: npt.NDArray[np.float32]
    diameter_um: float

    @property
    def reach_px(self) -> float:
        """How far an object reaches beyond its centroid, at most."""
        return float(self.reaches_px.max())

    def near(self, box: Box) -> Rows:
        """Rows of all squares that a box touches."""
        left, top, right, bottom = (int(value // CELL_SIDE_PX) for value in box)
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.columns - 1), min(bottom, self.lines - 1)
        if left > right or top > bottom:
            return np.zeros(0, np.int64)
        if right - left + 1 == self.columns:
            return self.rows[self.bounds[top * self.columns] : self.bounds[(bottom + 1) * self.columns]]
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
        classes_of: per kind, the words that its objects can have; none where they are not typed.
        colours: of words.
        columns: object_id, kind, class_code, class_prob (NaN where there is none), score, x, y, area_um2,
            container (0 outside), tissue.
        boxes: N x 4 float32: left, top, right, bottom.
        grids: per kind, where its objects are.
        group_bounds: first row of every row group of the file, and the number of rows.
        width_px: of the slide.
        height_px: of the slide.
    """

    spec: TaskSpec
    kinds: tuple[str, ...]
    classes: tuple[str, ...]
    tissues: tuple[str, ...]
    classes_of: tuple[tuple[str, ...], ...]
    colours: Mapping[str, Rgb]
    columns: dict[str, Column]
    boxes: npt.NDArray[np.float32]
    grids: tuple[Grid, ...]
    group_bounds: Rows
    width_px: int
    height_px: int

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def stored_bytes(self) -> int:
        """Memory of the columns and grids."""
        return sum(column.nbytes for column in self.columns.values()) + self.boxes.nbytes + 8 * len(self)

    def recoded(
        self,
        words: tuple[str, ...],
        classes_of: tuple[tuple[str, ...], ...],
        colours: Mapping[str, Rgb],
        codes: npt.NDArray[np.int8],
    ) -> ObjectIndex:
        """The same objects with other words in place of their classes.

        Args:
            words: all of them.
            classes_of: per kind, those that its objects can have.
            colours: of the words.
            codes: per row, the number of its word.
        """
        columns = {**self.columns, "class_code": codes}
        return replace(self, classes=words, classes_of=classes_of, colours=colours, columns=columns)

    def colour_of(self, row: int) -> Rgb:
        """Colour of an object: that of its class, or of its kind where it has none."""
        code = int(self.columns["class_code"][row])
        word = self.classes[code] if code != NO_WORD else self.kinds[int(self.columns["kind"][row])]
        return self.colours.get(word, UNKNOWN_COLOUR)

    def kind_code(self, kind: str) -> int:
        """Code of a kind.

        Raises:
            UsageError: There is no such kind.
        """
        check_kind(kind, self)
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


def check_kind(kind: str, *indices: ObjectIndex) -> None:
    """Refuse a kind that none of some indices has.

    Raises:
        UsageError: There is no such kind.
    """
    kinds = dict.fromkeys(known for index in indices for known in index.kinds)
    if kind not in kinds:
        raise UsageError(f"expected a kind of {', '.join(kinds)}, found {kind!r}")


def read_index(path: Path, spec: TaskSpec, size_px: tuple[int, int]) -> ObjectIndex:
    """Read the columns of an object table.

    Args:
        path: `objects.parquet`.
        spec: tasks of the model that made it.
        size_px: width and height of the slide.

    Raises:
        OutputError: The table is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            counts = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            columns, boxes = _columns(file, spec), _boxes(file)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise OutputError(
            f"expected a table of objects, found a damaged file {path.name} ({error}); "
            "run histocerb segment again"
        ) from error
    pa.default_memory_pool().release_unused()
    kinds = tuple(task.kind for task in spec.objects)
    tissues = spec.patch.classes if spec.patch else ()
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    own = tuple(task.classes for task in spec.objects)
    grids = tuple(_grid(columns, boxes, code, size_px) for code in range(len(kinds)))
    return ObjectIndex(
        spec,
        kinds,
        object_classes(spec),
        tissues,
        own,
        CLASS_COLOURS,
        columns,
        boxes,
        grids,
        bounds,
        *size_px,
    )


def _columns(file: pq.ParquetFile, spec: TaskSpec) -> dict[str, Column]:
    """Columns but boxes; read one by one, which takes a third of the memory."""
    columns: dict[str, Column] = {name: _numbers(_stored(file, name)) for name in _NUMBERS}
    columns["object_id"] = np.asarray(_stored(file, "object_id"), np.int64)
    columns["kind"] = _codes(_stored(file, "kind"), tuple(task.kind for task in spec.objects))
    columns["class_code"] = _codes(_stored(file, "class"), object_classes(spec))
    columns["tissue"] = _codes(_stored(file, "tissue"), spec.patch.classes if spec.patch else ())
    container = container_column(spec)
    nothing = np.zeros(len(columns["kind"]), np.int64)
    columns["container"] = _ids(_stored(file, container)) if container else nothing
    return columns


def _boxes(file: pq.ParquetFile) -> npt.NDArray[np.float32]:
    boxes = np.empty((file.metadata.num_rows, len(_SIDES)), np.float32)
    for n, side in enumerate(_SIDES):
        boxes[:, n] = np.asarray(pc.struct_field(_stored(file, "bbox", side), side))
    return boxes


def _stored(file: pq.ParquetFile, name: str, field: str = "") -> pa.ChunkedArray[Any]:
    return file.read(columns=[f"{name}.{field}" if field else name])[name]


def _grid(
    of: dict[str, Column], all_boxes: npt.NDArray[np.float32], code: int, size_px: tuple[int, int]
) -> Grid:
    """Where the objects of a kind are."""
    found = np.flatnonzero(of["kind"] == code)
    rows = _run(found)
    columns, lines = (max(1, -(-side // CELL_SIDE_PX)) for side in size_px)
    x, y, areas = of["x"][rows], of["y"][rows], of["area_um2"][rows]
    cell_x = (x / CELL_SIDE_PX).astype(np.int32).clip(0, columns - 1)
    cell_y = (y / CELL_SIDE_PX).astype(np.int32).clip(0, lines - 1)
    cell = cell_y * columns + cell_x
    if columns * lines <= 1 << 16:
        cell = cell.astype(np.uint16)  # sorted by digits, ten times as fast
    bounds = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=columns * lines))])
    left, top, right, bottom = all_boxes[rows].T
    reaches = np.zeros(columns * lines, np.float32)
    for away in (x - left, y - top, right - x, bottom - y):
        np.maximum.at(reaches, cell, away)
    diameter = 2 * float(np.sqrt(np.median(areas) / np.pi)) if len(areas) else 0.0
    order = np.argsort(cell, kind="stable")
    return Grid(columns, lines, found[order], bounds, reaches, diameter)


def _run(rows: Rows) -> slice | Rows:
    """As a slice where they follow each other, as those of a kind do in our files: nothing is copied then."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


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
