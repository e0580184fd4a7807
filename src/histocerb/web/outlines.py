"""Outlines of objects, a row group at a time, and the binary tiles in which they go to the browser."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.core.errors import OutputError
from histocerb.core.outlines import Outlines, offsets
from histocerb.core.wkb import decode_polygons
from histocerb.web.cache import ByteCache
from histocerb.web.index import CELL_SIDE_PX, ObjectIndex, Rows

MOST_DETAIL = 12
"""Coarsest detail of tiles: level n covers squares of CELL_SIDE_PX * 2**n."""

_TOLERANCE_PX = 0.25
_LEAST_POINTS = 8
_MAGIC = 0x31434248  # "HBC1", little-endian
_CACHE_BYTES = 112 << 20
_LOCKS = 16

Stored = Any
"""A column of WKB polygons as Arrow holds it."""

StoredGroups = ByteCache[tuple[object, int], Stored]
"""Row groups by reader and number."""


@dataclass(frozen=True)
class Rings:
    """Outlines of N objects; offsets as in `Outlines`, points as float32 to take half the memory."""

    points: npt.NDArray[np.float32]
    ring_offsets: Rows
    object_offsets: Rows


def stored_groups() -> StoredGroups:
    """Room for row groups as they were stored."""
    return ByteCache(_CACHE_BYTES, lambda column: int(column.nbytes))


class OutlineReader:
    """Outlines of one object table by row; row groups are kept as they were stored, up to a bound.

    Safe from several threads, each of which reads the file through a handle of its own.
    """

    def __init__(self, path: Path, index: ObjectIndex, groups: StoredGroups) -> None:
        """Open a table.

        Args:
            path: of the table.
            index: its objects.
            groups: where row groups are kept; several readers may share it.
        """
        self._path = path
        self._mark = object()
        self._own = threading.local()
        with pq.ParquetFile(path) as file:
            self._metadata = file.metadata
        self._reading = tuple(threading.Lock() for _ in range(_LOCKS))
        self._bounds = index.group_bounds
        self._groups = groups

    def read(self, rows: Rows) -> Rings:
        """Outlines of rows, which must be sorted.

        Raises:
            OutputError: They are damaged.
        """
        found = self.stored(rows)
        return Rings(found.points.astype(np.float32), found.ring_offsets, found.object_offsets)

    def stored(self, rows: Rows) -> Outlines:
        """Outlines of rows, which must be sorted, bit by bit as the table has them.

        Raises:
            OutputError: They are damaged.
        """
        groups = np.searchsorted(self._bounds, rows, side="right") - 1
        chosen = [
            self._group(int(group)).take(pa.array(rows[groups == group] - self._bounds[group]))
            for group in np.unique(groups)
        ]
        return Outlines.concat([decode_polygons(column) for column in chosen])

    def rings_of(self, row: int) -> list[npt.NDArray[np.float32]]:
        """Rings of one object, exterior first."""
        found = self.read(np.array([row]))
        return np.split(found.points, found.ring_offsets[1:-1])

    def _group(self, number: int) -> Stored:
        with self._reading[number % _LOCKS]:  # whoever wants the same group meanwhile waits for it
            return self._groups.get((self._mark, number), lambda: self._stored(number))

    def _stored(self, number: int) -> Stored:
        try:
            if not hasattr(self._own, "file"):
                self._own.file = pq.ParquetFile(self._path, metadata=self._metadata)
            column: Stored = self._own.file.read_row_group(number, columns=["geometry"])["geometry"]
        except (OSError, pa.ArrowInvalid) as error:
            raise OutputError(
                f"{self._path.parent.name}: expected outlines of objects, found a damaged file "
                f"{self._path.name} ({error}); run histocerb segment again"
            ) from error
        pa.default_memory_pool().release_unused()  # each thread would keep what decoding has taken
        return column


def tile_box(detail: int, column: int, row: int) -> tuple[float, float, float, float]:
    """The square of a tile in level-0 pixels."""
    side = float(CELL_SIDE_PX << detail)
    return column * side, row * side, (column + 1) * side, (row + 1) * side


def object_tile(
    index: ObjectIndex, reader: OutlineReader, kind_code: int, place: tuple[int, int, int]
) -> bytes:
    """Objects whose centroids lie in a tile, for the browser.

    Little-endian: uint32 magic, N objects, R rings, P points; uint32 ids[N], rings[N + 1], points[R + 1];
    float32 xy[2 P] and boxes[4 N] relative to the tile's corner, class_prob[N] (NaN: none), area_um2[N];
    int8 class codes[N].

    Args:
        index: all objects.
        reader: of their outlines.
        kind_code: which kind.
        place: detail, column, row. Detail 0 gives outlines as they are; n moves them by up to about a
            quarter of 2**n pixels.
    """
    detail, column, row = place
    box = tile_box(detail, column, row)
    rows = index.inside(kind_code, box)
    rings = reader.read(rows)
    if detail:
        rings = simplified(rings, _TOLERANCE_PX * 2**detail)
    corner = np.array(box[:2], np.float32)
    head = np.array([_MAGIC, len(rows), len(rings.ring_offsets) - 1, len(rings.points)], "<u4")
    parts = [
        head,
        index.columns["object_id"][rows].astype("<u4"),
        rings.object_offsets.astype("<u4"),
        rings.ring_offsets.astype("<u4"),
        (rings.points - corner).astype("<f4"),
        (index.boxes[rows] - np.tile(corner, 2)).astype("<f4"),
        index.columns["class_prob"][rows].astype("<f4"),
        index.columns["area_um2"][rows].astype("<f4"),
        index.columns["class_code"][rows].astype("i1"),
    ]
    return b"".join(part.tobytes() for part in parts)


def simplified(rings: Rings, tolerance_px: float) -> Rings:
    """Without points that hardly matter: those whose triangle with their neighbours is small.

    Points go in two rounds, never two neighbours in one, so that what stays moves by about `tolerance_px`;
    a ring keeps at least four.

    Args:
        rings: outlines.
        tolerance_px: points whose triangle is smaller than the square of this go.
    """
    for parity in (0, 1):
        counts = np.diff(rings.ring_offsets)
        has = counts > 0
        first, last = rings.ring_offsets[:-1][has], rings.ring_offsets[1:][has] - 1
        area = _corner_areas(rings.points, first, last)
        may_go = np.repeat(counts >= _LEAST_POINTS, counts)
        may_go[1 - parity :: 2] = False
        may_go[last[(last - first) % 2 == 0]] = False  # first and last are neighbours too
        keep = ~(may_go & (area < tolerance_px**2))
        kept = np.add.reduceat(keep, first, dtype=np.int64) if len(first) else counts
        counts = counts.copy()
        counts[has] = kept
        rings = Rings(rings.points[keep], offsets(counts), rings.object_offsets)
    return rings


def _corner_areas(points: npt.NDArray[np.float32], first: Rows, last: Rows) -> npt.NDArray[np.float32]:
    """Area of the triangle of every point with those before and after it in its ring."""
    step = np.empty_like(points)
    step[:-1] = points[1:] - points[:-1]
    step[last] = points[first] - points[last]
    before = np.empty_like(step)
    before[1:] = step[:-1]
    before[first] = step[last]
    twice = before[:, 0] * step[:, 1] - before[:, 1] * step[:, 0]
    return np.asarray(np.abs(twice) / 2, np.float32)
