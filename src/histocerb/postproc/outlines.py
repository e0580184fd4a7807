"""Outlines of labelled objects, exactly along pixel edges.

A ring is walked with the object on its right (x to the right, y down), so that exteriors have a positive
signed area and holes a negative one (see `core.outlines`). Where two pixels of an object meet only at a
corner, the walk turns left, which joins them: then no ring meets itself, and polygons are valid in the
sense of OGC. An object that is one 4-connected region has one exterior.
"""

from __future__ import annotations

import numpy as np

from histocerb.core.compiled import compiled
from histocerb.core.outlines import Outlines, offsets
from histocerb.postproc.arrays import I32, I64, Bool


def trace(labels: I32, count: int) -> Outlines:
    """Polygons of the labels 1..count of an H x W map, each one 4-connected region; corners only."""
    flat, width = labels.ravel(), labels.shape[1] if labels.size else 1
    corners = 2 * _count_sides(flat, width)
    points = np.empty((corners, 2), np.int32)
    owner, starts = np.empty(corners // 4, np.int32), np.empty(corners // 4 + 1, np.int64)
    number = _walk_all(flat, width, points, owner, starts)
    rings = Outlines(points.astype(np.float64), starts[: number + 1], np.arange(number + 1))
    if np.any(np.diff(owner[:number]) < 0):
        rings = rings.select(np.argsort(owner[:number], kind="stable"))
    per_object = np.bincount(owner[:number], minlength=count + 1)[1:]
    return Outlines(rings.points, rings.ring_offsets, offsets(per_object))


@compiled
def _count_sides(labels: I32, width: int) -> int:
    """Straight horizontal pieces of all rings; each has two corners, and every corner ends one of them."""
    sides = 0
    for pixel in range(labels.size):
        label = labels[pixel]
        if label == 0:
            continue
        first = pixel % width == 0 or labels[pixel - 1] != label
        for step in (-width, width):
            beyond = pixel + step
            if not 0 <= beyond < labels.size or labels[beyond] != label:
                opens = first or (0 <= beyond < labels.size and labels[beyond - 1] == label)
                sides += 1 if opens else 0
    return sides


@compiled
def _walk_all(labels: I32, width: int, points: I32, owner: I32, starts: I64) -> int:
    """Walk every ring once, from the upper edge of its first pixel that has one not walked yet."""
    walked = np.zeros(labels.size, np.bool_)
    rings, end = 0, 0
    starts[0] = 0
    for pixel in range(labels.size):
        label = labels[pixel]
        if label == 0 or walked[pixel] or (pixel >= width and labels[pixel - width] == label):
            continue
        end = _walk(labels, width, pixel, walked, points, end)
        owner[rings] = label
        rings += 1
        starts[rings] = end
    return rings


@compiled
def _same(labels: I32, width: int, row: int, column: int, label: int) -> bool:
    inside = 0 <= row < labels.size // width and 0 <= column < width
    return inside and labels[row * width + column] == label


@compiled
def _walk(labels: I32, width: int, first: int, walked: Bool, points: I32, end: int) -> int:
    """Write the corners of one ring from `points[end]`; returns where they stop."""
    label = labels[first]
    start_row, start_column = first // width, first % width
    row, column = start_row, start_column  # a corner of the grid; the walk leaves it along (down, right)
    down, right = 0, 1
    closed = False
    while not closed:
        if right == 1:
            walked[row * width + column] = True
        row, column = row + down, column + right
        # The pixels ahead, to the left and to the right of the walk, seen from this corner.
        on_left = _same(labels, width, row + (down - right - 1) // 2, column + (right + down - 1) // 2, label)
        on_right = _same(
            labels, width, row + (down + right - 1) // 2, column + (right - down - 1) // 2, label
        )
        if on_left or not on_right:
            points[end, 0], points[end, 1] = column, row
            end += 1
            down, right = (-right, down) if on_left else (right, -down)
        closed = row == start_row and column == start_column and down == 0 and right == 1
    return end
