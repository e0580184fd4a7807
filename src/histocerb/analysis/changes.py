"""What became of objects from one result of a slide to another: which of the two are the same.

Two objects are the same if their outlines share more than half of the area that they cover together, as in
`metrics.matching`; of objects that do not overlap, none can then have two partners.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.compiled import compiled
from histocerb.core.outlines import Float, Int, Outlines

SAME_IOU = 0.5
"""Two objects with a larger intersection over union are the same."""

NO_PARTNER = -1

_DECIMALS = 9
"""Of an intersection over union: a half is a half then, whatever the size of a pixel."""


def ious(first: Outlines, second: Outlines, pairs: Int) -> Float:
    """Intersection over union of pairs of polygons.

    Shared areas are summed up over the stripes between the heights of corners of either polygon, along their
    centre lines. That is exact for outlines along the borders of pixels of any size, which may be another one
    in `first` than in `second`, and close for slanted ones. Holes count as outside.

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
    return np.asarray(np.round(shared / np.maximum(union, 1e-9), _DECIMALS))


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


@compiled
def _measure(points: Float, rings: Int, objects: Int, areas: Float) -> None:
    for n in range(objects.size - 1):
        twice = 0.0
        for ring in range(objects[n], objects[n + 1]):
            last = rings[ring + 1] - 1
            x, y = points[last]  # seen from here: far from the origin products would lose digits
            for p in range(rings[ring], rings[ring + 1]):
                x0, y0, x1, y1 = points[last, 0] - x, points[last, 1] - y, points[p, 0] - x, points[p, 1] - y
                twice += x0 * y1 - x1 * y0
                last = p
        areas[n] = abs(twice) / 2


@compiled
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
        edges = _stripes(own, other)
        starts, xs = _crossings(points, rings, objects[n], objects[n + 1], edges)
        other_starts, other_xs = _crossings(
            other_points, other_rings, other_objects[m], other_objects[m + 1], edges
        )
        for row in range(edges.size - 1):
            a = xs[starts[row] : starts[row + 1]]
            b = other_xs[other_starts[row] : other_starts[row + 1]]
            shared[k] += _common_length(a, b) * (edges[row + 1] - edges[row])


@compiled
def _stripes(own: Float, other: Float) -> Float:
    """Heights of the corners of two polygons where both are, rising; at most one where they do not meet."""
    top, bottom = max(own.min(), other.min()), min(own.max(), other.max())
    heights = np.concatenate((own, other))
    return np.unique(heights[(heights >= top) & (heights <= bottom)])


@compiled
def _crossings(points: Float, rings: Int, first: int, last: int, edges: Float) -> tuple[Int, Float]:
    """Where a polygon crosses the centre lines of stripes, sorted per stripe: offsets and x."""
    rows = max(edges.size - 1, 0)
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
            from_row = _row_at(edges, rows, points[before, 1], 0)
            for p in range(rings[ring], rings[ring + 1]):
                x0, y0, x1, y1 = points[before, 0], points[before, 1], points[p, 0], points[p, 1]
                to_row = _row_at(edges, rows, y1, from_row)
                begin, end = min(from_row, to_row), max(from_row, to_row)
                before, from_row = p, to_row
                for row in range(begin, end):
                    if fill:
                        at = starts[row] + counts[row]
                        centre = (edges[row] + edges[row + 1]) / 2
                        x = x0 + (centre - y0) * (x1 - x0) / (y1 - y0)
                        while at > starts[row] and xs[at - 1] > x:
                            xs[at] = xs[at - 1]
                            at -= 1
                        xs[at] = x
                    counts[row] += 1
    return starts, xs


@compiled
def _row_at(edges: Float, rows: int, y: float, row: int) -> int:
    """The stripe that begins at a height, or `rows`; looked for from `row` on, where the last corner was."""
    while row < rows and edges[row] < y:
        row += 1
    while row > 0 and edges[row - 1] >= y:
        row -= 1
    return row


@compiled
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
