"""4-connected regions of label maps: find, count, keep the right ones.

Everywhere in this room two pixels are connected when they share an edge, and regions are numbered 1, 2, ...
in raster order of their first pixel. That order does not change when an image is cut or moved.
"""

from __future__ import annotations

import numpy as np

from histocerb.core.compiled import compiled
from histocerb.postproc.arrays import I32, I64, U8, Bool
from histocerb.postproc.runs import Runs, find_runs


def regions(values: U8 | I32, zero_too: bool = False) -> tuple[I32, int]:
    """Number the 4-connected regions of equal value.

    Args:
        values: H x W, C-contiguous.
        zero_too: number regions of value 0 as well; otherwise they stay 0.

    Returns:
        H x W int32 region numbers, and how many there are.
    """
    runs = find_runs(values, zero_too)
    return runs.paint(), runs.count


def components(mask: Bool) -> tuple[I32, int]:
    """Number the 4-connected components of a mask."""
    return regions(np.ascontiguousarray(mask).view(np.uint8))


def large_components(mask: Bool, least_px: float) -> tuple[I32, I64]:
    """Components of at least `least_px` pixels: their map, and flat indices of their first pixels."""
    return large_regions(np.ascontiguousarray(mask).view(np.uint8), least_px)


def large_regions(values: U8 | I32, least_px: float) -> tuple[I32, I64]:
    """Regions of at least `least_px` pixels, value 0 apart: their map, and their first pixels."""
    runs = find_runs(values)
    return _kept(runs, runs.areas() >= least_px)


def renumber(labels: I32, keep: Bool) -> tuple[I32, I64]:
    """Drop the labels whose entry in `keep` (one per label, entry 0 for the background) is False.

    Returns:
        The map, changed in place, with the others numbered 1, 2, ... in their old order, and their old
        numbers.
    """
    _translate(labels.ravel(), _numbers(keep))
    return labels, np.flatnonzero(keep)


def largest_pieces(labels: I32, count: int) -> tuple[I32, I64, I64]:
    """Make every label one 4-connected region: its largest piece, the first in raster order of equal ones.

    Returns:
        A new map, numbered in raster order of the first pixels, and per object its number in `labels` and
        the flat index of its first pixel.
    """
    runs = find_runs(labels)
    value = labels.ravel()[runs.first()].astype(np.int64)
    keep = _largest(value, runs.areas(), count)
    pieces, first = _kept(runs, keep)
    return pieces, value[keep[1:]], first


def reached(mask: Bool, seeds: I64) -> tuple[I32, I64]:
    """The components of a mask that hold given pixels, at a cost that does not grow with the others.

    Args:
        mask: H x W, C-contiguous.
        seeds: K flat indices of pixels of the mask.

    Returns:
        H x W int32, the components numbered 1, 2, ... in the order of their first seed, 0 elsewhere; and
        left, top, right, bottom of each (half-open).
    """
    labels = np.zeros(mask.shape, np.int32)
    boxes = _reach(mask.ravel(), mask.shape[1], seeds, labels.ravel())
    return labels, boxes


def _kept(runs: Runs, keep: Bool) -> tuple[I32, I64]:
    numbers = _numbers(keep)
    return runs.paint(numbers), runs.first()[keep[1:]]


def _numbers(keep: Bool) -> I32:
    """New numbers of what is kept, 0 for the others; entry 0 of `keep` is set to False."""
    keep[0] = False
    return (np.cumsum(keep) * keep).astype(np.int32)


@compiled
def _translate(labels: I32, lookup: I32) -> None:
    for pixel in range(labels.size):
        labels[pixel] = lookup[labels[pixel]]


@compiled
def _largest(value: I64, size: I64, count: int) -> Bool:
    """Which regions are the largest of their label; region k has entry k - 1 of `value` and k of `size`."""
    best = np.zeros(count + 1, np.int64)
    for piece in range(1, size.size):
        label = value[piece - 1]
        if best[label] == 0 or size[piece] > size[best[label]]:
            best[label] = piece
    keep = np.zeros(size.size, np.bool_)
    keep[best] = True
    return keep


@compiled
def _reach(mask: Bool, width: int, seeds: I64, labels: I32) -> I64:
    boxes, count = np.empty((len(seeds), 4), np.int64), 0
    stack = np.empty(1024, np.int64)
    for seed in seeds:
        if labels[seed]:
            continue
        box = boxes[count]
        count += 1
        box[0], box[1], box[2], box[3] = seed % width, seed // width, 0, 0
        labels[seed], stack[0], depth = count, seed, 1
        while depth:
            depth -= 1
            pixel = stack[depth]
            row, column = pixel // width, pixel % width
            box[0], box[1] = min(box[0], column), min(box[1], row)
            box[2], box[3] = max(box[2], column + 1), max(box[3], row + 1)
            if depth + 4 > stack.size:
                stack = np.append(stack, np.empty(stack.size, np.int64))
            for near, inner in (
                (pixel - width, row > 0),
                (pixel - 1, column > 0),
                (pixel + 1, column + 1 < width),
                (pixel + width, pixel + width < mask.size),
            ):
                if inner and mask[near] and labels[near] == 0:
                    labels[near] = count
                    stack[depth] = near
                    depth += 1
    return boxes[:count].copy()
