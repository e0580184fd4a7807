"""Polygons as well-known binary in Arrow arrays, the encoding of GeoParquet; whole columns at once.

A polygon is `byte order (1) | type (3) | number of rings | per ring: number of points, points`,
little-endian, 16 bytes a point. Rings are closed here (the first point is repeated), open in `Outlines`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.core.errors import OutputError
from histocerb.core.outlines import Float, Int, Outlines, offsets, ranges

Bytes = npt.NDArray[np.uint8]

_POLYGON = np.frombuffer(b"\x01\x03\x00\x00\x00", np.uint8)
_OBJECT_HEADER = len(_POLYGON) + 4
_RING_HEADER = 4
_POINT = 16
_MAX_BYTES = 2**31 - 1


def encode_polygons(outlines: Outlines) -> pa.Array[Any]:
    """One WKB polygon per object.

    Args:
        outlines: N polygons; coordinates are kept bit by bit.

    Returns:
        A `pa.BinaryArray` of N values without nulls.

    Raises:
        ValueError: The polygons need more than 2 GiB; encode them in parts.
    """
    points, bounds = closed_rings(outlines)
    closed = np.diff(bounds)
    ring_start = offsets(_RING_HEADER + _POINT * closed)
    object_size = _OBJECT_HEADER + np.diff(ring_start[outlines.object_offsets])
    object_start = offsets(object_size)
    if object_start[-1] > _MAX_BYTES:
        raise ValueError(f"{object_start[-1]} bytes of polygons do not fit one array; encode them in parts")
    ring_counts = np.diff(outlines.object_offsets)
    object_of_ring = np.repeat(np.arange(len(outlines)), ring_counts)
    ring_at = ring_start[:-1] + _OBJECT_HEADER * (object_of_ring + 1)
    data = np.empty(object_start[-1], np.uint8)
    is_point = np.ones(len(data), np.bool_)
    for at, header in (
        (object_start[:-1], np.concatenate([_tiled(_POLYGON, len(outlines)), _words(ring_counts)], axis=1)),
        (ring_at, _words(closed)),
    ):
        positions = at[:, None] + np.arange(header.shape[1])
        data[positions] = header
        is_point[positions] = False
    data[is_point] = np.ascontiguousarray(points, "<f8").view(np.uint8).reshape(-1)
    buffers = [None, pa.py_buffer(object_start.astype(np.int32).data), pa.py_buffer(data.data)]
    return pa.Array.from_buffers(pa.binary(), len(outlines), buffers)


def closed_rings(outlines: Outlines) -> tuple[Float, Int]:
    """Points of all rings, the first one of each repeated at its end, and their offsets (R + 1)."""
    counts = np.diff(outlines.ring_offsets)
    bounds = offsets(counts + (counts > 0))
    index = ranges(outlines.ring_offsets[:-1], np.diff(bounds))
    index[bounds[1:][counts > 0] - 1] = outlines.ring_offsets[:-1][counts > 0]
    return outlines.points[index], bounds


def decode_polygons(array: pa.Array[Any] | pa.ChunkedArray[Any]) -> Outlines:
    """Polygons of a WKB column, the inverse of `encode_polygons`.

    Args:
        array: N little-endian WKB polygons (2-D) without nulls, binary or large binary.

    Returns:
        N outlines with open rings.

    Raises:
        OutputError: A value is not such a polygon.
    """
    if isinstance(array, pa.ChunkedArray):
        return Outlines.concat([decode_polygons(chunk) for chunk in array.chunks])
    data, bounds = _buffers(array)
    if len(bounds) == 1:
        return Outlines.empty()
    start, end = bounds[:-1], bounds[1:]
    if np.any(end - start < _OBJECT_HEADER):
        raise _not_a_polygon(int(np.argmax(end - start < _OBJECT_HEADER)))
    wrong = np.any(data[start[:, None] + np.arange(len(_POLYGON))] != _POLYGON, axis=1)
    if np.any(wrong):
        raise _not_a_polygon(int(np.argmax(wrong)))
    ring_counts = _read_words(data, start + len(_POLYGON))
    ring_at, closed = _find_rings(data, start, end, ring_counts)
    counts = closed - (closed > 0)
    return Outlines(_points(data, ring_at + _RING_HEADER, counts), offsets(counts), offsets(ring_counts))


def _points(data: Bytes, start: Int, counts: Int) -> Float:
    """Runs of points that begin at any byte: 16 bytes at a time from a view of them at every byte."""
    first = offsets(counts)
    if not first[-1]:
        return np.zeros((0, 2))
    anywhere = np.ndarray((len(data) - _POINT + 1,), f"V{_POINT}", data.data, strides=(1,))
    at = _POINT * np.arange(first[-1]) + np.repeat(start - _POINT * first[:-1], counts)
    points: Float = anywhere[at].view("<f8").astype(np.float64, copy=False).reshape(-1, 2)
    return points


def _find_rings(data: Bytes, start: Int, end: Int, ring_counts: Int) -> tuple[Int, Int]:
    """Byte position and number of (closed) points of every ring; the k-th rings of all objects at once."""
    first_ring = offsets(ring_counts)
    ring_at, closed = np.zeros(first_ring[-1], np.int64), np.zeros(first_ring[-1], np.int64)
    at = start + _OBJECT_HEADER
    active = np.flatnonzero(ring_counts > 0)
    step = 0
    while len(active):
        if np.any(at[active] + _RING_HEADER > end[active]):
            raise _not_a_polygon(int(active[np.argmax(at[active] + _RING_HEADER > end[active])]))
        ring = first_ring[active] + step
        ring_at[ring] = at[active]
        closed[ring] = _read_words(data, at[active])
        at[active] += _RING_HEADER + _POINT * closed[ring]
        step += 1
        active = active[ring_counts[active] > step]
    if np.any(at != end):
        raise _not_a_polygon(int(np.argmax(at != end)))
    return ring_at, closed


def _buffers(array: pa.Array[Any]) -> tuple[Bytes, Int]:
    """The bytes of the array and the bounds of its values in them."""
    if array.null_count:
        raise OutputError(
            f"Expected a polygon in every row, found {array.null_count} without; "
            "write the objects again with histocerb segment."
        )
    width: npt.DTypeLike = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    _, bounds_buffer, data_buffer = array.buffers()
    if len(array) == 0 or bounds_buffer is None:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    first, last = array.offset, array.offset + len(array) + 1
    bounds = np.frombuffer(memoryview(bounds_buffer), width)[first:last].astype(np.int64)
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(memoryview(data_buffer), np.uint8)
    return data[bounds[0] : bounds[-1]], bounds - bounds[0]


def _words(values: Int) -> Bytes:
    return values.astype("<u4").view(np.uint8).reshape(-1, 4)


def _read_words(data: Bytes, at: Int) -> Int:
    words: Int = data[at[:, None] + np.arange(4)].view("<u4").reshape(-1).astype(np.int64)
    return words


def _tiled(row: Bytes, count: int) -> Bytes:
    return np.broadcast_to(row, (count, len(row)))


def _not_a_polygon(row: int) -> OutputError:
    return OutputError(
        f"Expected a little-endian WKB polygon, found something else in row {row}; "
        "write the objects again with histocerb segment."
    )
