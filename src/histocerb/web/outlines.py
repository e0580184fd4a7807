"""Outlines of objects, a row group at a time, and the binary tiles in which they go to the browser."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from histocerb.core.outlines import Outlines, offsets, ranges
from histocerb.core.wkb import decode_polygons
from histocerb.web.cache import ByteCache
from histocerb.web.index import CELL_SIDE_PX, ObjectIndex, Rows

MOST_DETAIL = 12
"""Coarsest detail of tiles: level n covers squares of CELL_SIDE_PX * 2**n."""

_TOLERANCE_PX = 0.25
_ROUNDS = 2
_LEAST_POINTS = 8
_MAGIC = 0x31434248  # "HBC1", little-endian
_CACHE_BYTES = 192 << 20


@dataclass(frozen=True)
class Rings:
    """Outlines of N objects; offsets as in `Outlines`, points as float32 to take half the memory."""

    points: npt.NDArray[np.float32]
    ring_offsets: Rows
    object_offsets: Rows

    @property
    def stored_bytes(self) -> int:
        """Memory it takes."""
        return self.points.nbytes + self.ring_offsets.nbytes + self.object_offsets.nbytes

    def select(self, chosen: Rows) -> Rings:
        """The objects of these positions."""
        ring_counts = np.diff(self.object_offsets)[chosen]
        rings = ranges(self.object_offsets[chosen], ring_counts)
        point_counts = np.diff(self.ring_offsets)[rings]
        points = self.points[ranges(self.ring_offsets[rings], point_counts)]
        return Rings(points, offsets(point_counts), offsets(ring_counts))


class OutlineReader:
    """Outlines of one object table by row; row groups that were read are kept, up to a bound."""

    def __init__(self, path: Path, index: ObjectIndex) -> None:
        self._file = pq.ParquetFile(path)
        self._lock = threading.Lock()
        self._bounds = index.group_bounds
        self._groups: ByteCache[int, Rings] = ByteCache(_CACHE_BYTES, lambda rings: rings.stored_bytes)

    def read(self, rows: Rows) -> Rings:
        """Outlines of rows, which must be sorted."""
        groups = np.searchsorted(self._bounds, rows, side="right") - 1
        parts = [
            self._group(int(group)).select(rows[groups == group] - self._bounds[group])
            for group in np.unique(groups)
        ]
        return _joined(parts)

    def rings_of(self, row: int) -> list[npt.NDArray[np.float32]]:
        """Rings of one object, exterior first."""
        found = self.read(np.array([row]))
        return np.split(found.points, found.ring_offsets[1:-1])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _group(self, number: int) -> Rings:
        return self._groups.get(number, lambda: self._decoded(number))

    def _decoded(self, number: int) -> Rings:
        with self._lock:
            column = self._file.read_row_group(number, columns=["geometry"])["geometry"]
        found: Outlines = decode_polygons(column)
        return Rings(found.points.astype(np.float32), found.ring_offsets, found.object_offsets)


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

    Points go in rounds, never two neighbours in one, so that what stays moves by about `tolerance_px`;
    a ring keeps at least four.

    Args:
        rings: outlines.
        tolerance_px: points whose triangle is smaller than the square of this go.
    """
    for parity in (0, 1) * _ROUNDS:
        counts = np.diff(rings.ring_offsets)
        place = np.arange(len(rings.points)) - np.repeat(rings.ring_offsets[:-1], counts)
        before, following = _neighbours(rings.ring_offsets, counts)
        towards = rings.points[following] - rings.points
        back = rings.points[before] - rings.points
        area = np.abs(towards[:, 0] * back[:, 1] - towards[:, 1] * back[:, 0]) / 2
        length = np.repeat(counts, counts)
        may_go = (place % 2 == parity) & (place < length - (length % 2)) & (length >= _LEAST_POINTS)
        keep = ~(may_go & (area < tolerance_px**2))
        ring_of_point = np.repeat(np.arange(len(counts)), counts)
        kept = np.bincount(ring_of_point[keep], minlength=len(counts))
        rings = Rings(rings.points[keep], offsets(kept), rings.object_offsets)
    return rings


def _neighbours(ring_offsets: Rows, counts: Rows) -> tuple[Rows, Rows]:
    """Number of the point before and after every point, around the ring."""
    number = np.arange(ring_offsets[-1])
    before, following = number - 1, number + 1
    has = counts > 0
    first, last = ring_offsets[:-1][has], ring_offsets[1:][has] - 1
    before[first], following[last] = last, first
    return before, following


def _joined(parts: list[Rings]) -> Rings:
    if not parts:
        return Rings(np.zeros((0, 2), np.float32), np.zeros(1, np.int64), np.zeros(1, np.int64))
    if len(parts) == 1:
        return parts[0]
    return Rings(
        np.concatenate([part.points for part in parts]),
        offsets(np.concatenate([np.diff(part.ring_offsets) for part in parts])),
        offsets(np.concatenate([np.diff(part.object_offsets) for part in parts])),
    )
