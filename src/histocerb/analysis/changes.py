"""What became of objects from one result of a slide to another: which of the two are the same.

Two objects are the same if their outlines share more than half of the area that they cover together, as in
`metrics.matching`; of objects that do not overlap, none can then have two partners.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from histocerb.core.outlines import Float, Int, Outlines

SAME_IOU = 0.5
"""Two objects with a larger intersection over union are the same."""

NO_PARTNER = -1


def ious(first: Outlines, second: Outlines, pairs: Int) -> Float:
    """Intersection over union of pairs of polygons.

    Shared areas are summed up along the centre lines of pixel rows, which is exact for outlines along the
    borders of pixels; holes count as outside.

    Args:
        first: N polygons.
        second: M polygons in the same coordinates.
        pairs: K x 2, numbers in `first` and `second`.

    Returns:
        K float64.
    """
    shared = np.zeros(len(pairs))
    _share(*_flat(first), *_flat(second), pairs, shared)
    union = _areas(first)[pairs[:, 0]] + _areas(second)[pairs[:, 1]] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def most_iou(boxes: tuple[Float, Float], areas: tuple[Float, Float]) -> Float:
    """The intersection over union that pairs can have at most, by their boxes and areas.

    Args:
        boxes: K x 4 each: left, top, right, bottom.
        areas: K each.
    """
    low = np.maximum(boxes[0][:, :2], boxes[1][:, :2])
    high = np.minimum(boxes[0][:, 2:], boxes[1][:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    shared = np.minimum(shared, np.minimum(*areas))
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-9))


def partners(pairs: Int, values: npt.NDArray[Any], sizes: tuple[int, int]) -> tuple[Int, Int]:
    """Who belongs to whom: the best of the other result, given that it is the best for both.

    Args:
        pairs: K x 2, rows of the first and of the second result.
        values: K intersections over union.
        sizes: objects of both results.

    Returns:
        For every object the row of its partner in the other result, or NO_PARTNER.
    """
    same = values > SAME_IOU
    pairs = pairs[same][np.argsort(values[same], kind="stable")]
    found = tuple(np.full(size, NO_PARTNER, np.int64) for size in sizes)
    for own, other in ((0, 1), (1, 0)):
        found[own][pairs[:, own]] = pairs[:, other]  # the last one, which is the best, stays
    for own, other in ((0, 1), (1, 0)):
        rows = np.flatnonzero(found[own] != NO_PARTNER)
        found[own][rows[found[other][found[own][rows]] != rows]] = NO_PARTNER
    return found[0], found[1]


def _flat(outlines: Outlines) -> tuple[Float, Int, Int]:
    return np.ascontiguousarray(outlines.points, np.float64), outlines.ring_offsets, outlines.object_offsets


def _areas(outlines: Outlines) -> Float:
    areas = np.zeros(len(outlines))
    _measure(*_flat(outlines), areas)
    return areas


@njit(cache=True, nogil=True)
def _measure(points: Float, rings: Int, objects: Int, areas: Float) -> None:
    for n in range(objects.size - 1):
        twice = 0.0
        for ring in range(objects[n], objects[n + 1]):
            last = rings[ring + 1] - 1
            for p in range(rings[ring], rings[ring + 1]):
                twice += points[last, 0] * points[p, 1] - points[p, 0] * points[last, 1]
                last = p
        areas[n] = abs(twice) / 2


@njit(cache=True, nogil=True)
def _share(
    points: Float,
    rings: Int,
    objects: Int,
    other_points: Float,
    other_rings: Int,
    other_objects: Int,
    pairs: Int,
    shared: Float,
) -> None:
    for k in range(pairs.shape[0]):
        n, m = pairs[k]
        own = points[rings[objects[n]] : rings[objects[n + 1]], 1]
        other = other_points[other_rings[other_objects[m]] : other_rings[other_objects[m + 1]], 1]
        if own.size == 0 or other.size == 0:
            continue
        top = int(np.floor(max(own.min(), other.min())))
        rows = int(np.ceil(min(own.max(), other.max()))) - top
        if rows <= 0:
            continue
        starts, xs = _crossings(points, rings, objects[n], objects[n + 1], top, rows)
        other_starts, other_xs = _crossings(
            other_points, other_rings, other_objects[m], other_objects[m + 1], top, rows
        )
        for row in range(rows):
            a = xs[starts[row] : starts[row + 1]]
            b = other_xs[other_starts[row] : other_starts[row + 1]]
            shared[k] += _common_length(a, b)


@njit(cache=True, nogil=True)
def _crossings(points: Float, rings: Int, first: int, last: int, top: int, rows: int) -> tuple[Int, Float]:
    """Where a polygon crosses the centre lines of rows, sorted per row: offsets and x."""
    counts = np.zeros(rows + 1, np.int64)
    for fill in range(2):
        if fill:
            starts = np.zeros(rows + 1, np.int64)
            for row in range(rows):
                starts[row + 1] = starts[row] + counts[row]
            xs = np.empty(starts[rows])
            counts[:] = 0
        for ring in range(first, last):
            before = rings[ring + 1] - 1
            for p in range(rings[ring], rings[ring + 1]):
                x0, y0, x1, y1 = points[before, 0], points[before, 1], points[p, 0], points[p, 1]
                before = p
                low, high = min(y0, y1), max(y0, y1)
                begin = max(int(np.ceil(low - top - 0.5)), 0)
                end = min(int(np.ceil(high - top - 0.5)), rows)
                for row in range(begin, end):
                    if fill:
                        at = starts[row] + counts[row]
                        x = x0 + (row + top + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                        while at > starts[row] and xs[at - 1] > x:
                            xs[at] = xs[at - 1]
                            at -= 1
                        xs[at] = x
                    counts[row] += 1
    return starts, xs


@njit(cache=True, nogil=True)
def _common_length(a: Float, b: Float) -> float:
    """Length that lies between the 1st and 2nd, 3rd and 4th ... of both sorted lists."""
    total, i, j = 0.0, 0, 0
    while i + 1 < a.size and j + 1 < b.size:
        total += max(0.0, min(a[i + 1], b[j + 1]) - max(a[i], b[j]))
        if a[i + 1] < b[j + 1]:
            i += 2
        else:
            j += 2
    return total
