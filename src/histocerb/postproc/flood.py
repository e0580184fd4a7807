"""Watershed of bytes from markers: what is surest comes first.

A pixel's level is its byte, or that of the pixel from which it was reached where that is lower; the highest
level comes first, of equals the first to be reached. The pixels of markers come before all others of their
level, in raster order; neighbours are reached in the order up, left, right, down. This is
skimage.segmentation.watershed of the negative bytes within a mask.
"""

from __future__ import annotations

import numpy as np

from histocerb.core.compiled import compiled
from histocerb.postproc.arrays import I32, I64, U8, Bool


def flooded(labels: I32, parts: I32, inside: U8, count: int) -> I32:
    """Flood markers through parts.

    Args:
        labels: H x W, markers 1, 2, ...; what of them lies outside `parts` is cut off.
        parts: H x W, 4-connected regions 1..count, which are flooded one by one.
        inside: H x W bytes, higher ones first.
        count: how many parts there are.

    Returns:
        H x W: the marker that each pixel of a part belongs to, 0 where the part holds none and outside.
    """
    found, todo, levels = _padded(labels, parts, inside)
    sources, starts = _sources(found, todo, parts, count)
    _flood(found.ravel(), todo.ravel(), levels.ravel(), sources, starts, todo.shape[1])
    return np.ascontiguousarray(found[1:-1, 1:-1])


@compiled
def _padded(labels: I32, parts: I32, inside: U8) -> tuple[I32, Bool, U8]:
    """Markers within parts, what is to be flooded, and levels; with a border of a pixel around."""
    height, width = labels.shape
    flooded = np.zeros((height + 2, width + 2), np.int32)
    todo, levels = np.zeros(flooded.shape, np.bool_), np.zeros(flooded.shape, np.uint8)
    for row in range(height):
        for column in range(width):
            if parts[row, column]:
                flooded[row + 1, column + 1] = labels[row, column]
                todo[row + 1, column + 1] = labels[row, column] == 0
                levels[row + 1, column + 1] = inside[row, column]
    return flooded, todo, levels


@compiled
def _sources(flooded: I32, todo: Bool, parts: I32, count: int) -> tuple[I32, I64]:
    """Pixels of markers beside pixels to be flooded, by part, in raster order; and where each part begins."""
    height, width = parts.shape
    found, part_of = np.empty(1024, np.int32), np.empty(1024, np.int32)
    number, starts = 0, np.zeros(count + 2, np.int64)
    for row in range(1, height + 1):
        if number + width > found.size:
            found = np.append(found, np.empty(found.size + width, np.int32))
            part_of = np.append(part_of, np.empty(part_of.size + width, np.int32))
        for column in range(1, width + 1):
            if flooded[row, column] and (
                todo[row - 1, column]
                or todo[row + 1, column]
                or todo[row, column - 1]
                or todo[row, column + 1]
            ):
                part = parts[row - 1, column - 1]
                found[number], part_of[number] = row * (width + 2) + column, part
                starts[part + 1] += 1
                number += 1
    starts = np.cumsum(starts)
    sources, cursor = np.empty(number, np.int32), starts.copy()
    for k in range(number):
        sources[cursor[part_of[k]]] = found[k]
        cursor[part_of[k]] += 1
    return sources, starts


@compiled
def _flood(labels: I32, todo: Bool, inside: U8, sources: I32, starts: I64, width: int) -> None:
    """Flood one component after another with a first-in-first-out list of pixels per byte value.

    All maps are padded by a pixel that is not to be flooded; the sources of component k are
    sources[starts[k]:starts[k + 1]].
    """
    following = np.empty(labels.size, np.int32)
    head, tail = np.full(256, -1, np.int32), np.full(256, -1, np.int32)
    steps = np.array([-width, -1, 1, width])
    for part in range(1, len(starts) - 1):
        waiting, level = 0, 0
        for pixel in sources[starts[part] : starts[part + 1]]:
            _push(pixel, inside[pixel], following, head, tail)
            level = max(level, inside[pixel])
            waiting += 1
        while waiting:
            while head[level] < 0:
                level -= 1
            pixel = head[level]
            head[level] = following[pixel]
            waiting -= 1
            for step in steps:
                near = pixel + step
                if todo[near]:
                    todo[near] = False
                    labels[near] = labels[pixel]
                    _push(near, min(level, inside[near]), following, head, tail)
                    waiting += 1


@compiled
def _push(pixel: int, value: int, following: I32, head: I32, tail: I32) -> None:
    """Append a pixel to the list of its value."""
    following[pixel] = -1
    if head[value] < 0:
        head[value] = pixel
    else:
        following[tail[value]] = pixel
    tail[value] = pixel
