"""4-connected regions of label maps: find, count, keep the right ones.

Everywhere in this room two pixels are connected when they share an edge, and regions are numbered 1, 2, ...
in raster order of their first pixel. That order does not change when an image is cut or moved.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.postproc.compiled import I32, I64, U8, Bool, compiled


def regions(values: U8 | I32, zero_too: bool = False) -> tuple[I32, int]:
    """Number the 4-connected regions of equal value.

    Args:
        values: H x W, C-contiguous.
        zero_too: number regions of value 0 as well; otherwise they stay 0.

    Returns:
        H x W int32 region numbers, and how many there are.
    """
    if not values.size:
        return np.zeros(values.shape, np.int32), 0
    labels, count = _label(values.ravel(), values.shape[1], zero_too)
    return labels.reshape(values.shape), count


def components(mask: Bool) -> tuple[I32, int]:
    """Number the 4-connected components of a mask."""
    return regions(np.ascontiguousarray(mask).view(np.uint8))


def areas(labels: I32, count: int) -> I64:
    """Pixels per label: count + 1 int64, entry 0 is the background."""
    return _areas(labels.ravel(), count)


def renumber(labels: I32, keep: npt.NDArray[np.bool_]) -> tuple[I32, I64]:
    """Drop the labels whose entry in `keep` (one per label, entry 0 for the background) is False.

    Returns:
        The map, changed in place, with the others numbered 1, 2, ... in their old order, and their old
        numbers.
    """
    keep[0] = False
    lookup = (np.cumsum(keep) * keep).astype(np.int32)
    _translate(labels.ravel(), lookup)
    return labels, np.flatnonzero(keep)


def drop_small(labels: I32, count: int, least_px: float) -> tuple[I32, int]:
    """Drop labels of fewer than `least_px` pixels (in place) and number the others anew."""
    labels, kept = renumber(labels, areas(labels, count) >= least_px)
    return labels, len(kept)


def large_components(mask: Bool, least_px: float) -> tuple[I32, int]:
    """Components of at least `least_px` pixels."""
    return drop_small(*components(mask), least_px)


def largest_pieces(labels: I32, count: int) -> tuple[I32, I64]:
    """Make every label one 4-connected region: its largest piece, the first in raster order of equal ones.

    Returns:
        A new map, numbered in raster order of the first pixels, and per object its number in `labels`.
    """
    pieces, number = regions(labels)
    value, size = _describe(pieces.ravel(), labels.ravel(), number)
    pieces, kept = renumber(pieces, _largest(value, size, count))
    return pieces, value[kept]


def first_pixels(labels: I32, count: int) -> I64:
    """Flat index of the first pixel of each label in raster order: `count` int64."""
    return _first(labels.ravel(), count)


def bounding_boxes(labels: I32, count: int) -> I64:
    """Left, top, right, bottom per label (half-open): count + 1 x 4 int64, row 0 is unused."""
    return _boxes(labels, count)


@compiled
def _root(parent: I32, pixel: int) -> int:
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@compiled
def _label(values: U8 | I32, width: int, zero_too: bool) -> tuple[I32, int]:
    """Union-find in the result: an entry points to an earlier pixel, a root (first pixel) to itself."""
    parent = np.empty(values.size, np.int32)
    for row in range(values.size // width):
        for pixel in range(row * width, (row + 1) * width):
            value = values[pixel]
            if value == 0 and not zero_too:
                parent[pixel] = -1
                continue
            up = row > 0 and values[pixel - width] == value
            left = pixel > row * width and values[pixel - 1] == value
            if not up:
                parent[pixel] = parent[pixel - 1] if left else pixel
                continue
            parent[pixel] = parent[pixel - width]
            if left and values[pixel - width - 1] != value:
                a, b = _root(parent, pixel - 1), _root(parent, pixel - width)
                parent[max(a, b)] = min(a, b)
    count = 0
    for pixel in range(values.size):
        before = parent[pixel]
        if before == -1:
            parent[pixel] = 0
        elif before == pixel:
            count += 1
            parent[pixel] = count
        else:
            parent[pixel] = parent[before]
    return parent, count


@compiled
def _areas(labels: I32, count: int) -> I64:
    total = np.zeros(count + 1, np.int64)
    for label in labels:
        total[label] += 1
    return total


@compiled
def _translate(labels: I32, lookup: I32) -> None:
    for pixel in range(labels.size):
        labels[pixel] = lookup[labels[pixel]]


@compiled
def _describe(pieces: I32, labels: I32, number: int) -> tuple[I64, I64]:
    value, size = np.zeros(number + 1, np.int64), np.zeros(number + 1, np.int64)
    for pixel in range(pieces.size):
        value[pieces[pixel]] = labels[pixel]
        size[pieces[pixel]] += 1
    return value, size


@compiled
def _largest(value: I64, size: I64, count: int) -> Bool:
    best = np.zeros(count + 1, np.int64)
    for piece in range(1, value.size):
        label = value[piece]
        if best[label] == 0 or size[piece] > size[best[label]]:
            best[label] = piece
    keep = np.zeros(value.size, np.bool_)
    keep[best] = True
    return keep


@compiled
def _first(labels: I32, count: int) -> I64:
    first = np.full(count, -1, np.int64)
    for pixel in range(labels.size):
        label = labels[pixel]
        if label and first[label - 1] < 0:
            first[label - 1] = pixel
    return first


@compiled
def _boxes(labels: I32, count: int) -> I64:
    boxes = np.zeros((count + 1, 4), np.int64)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            label = labels[row, column]
            if label == 0:
                continue
            box = boxes[label]
            if box[3] == 0:
                box[0], box[1] = column, row
            box[0] = min(box[0], column)
            box[2] = max(box[2], column + 1)
            box[3] = row + 1
    return boxes
