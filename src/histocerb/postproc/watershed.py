"""Objects that touch (nuclei): components of surely-inside pixels grow by watershed into inside + contour.

With q1, q2 the bytes of inside and contour, all regions 4-connected:

- E is the mask q1 + q2 > 255 t, eroded once by the 3 x 3 cross (pixels outside the image count as set),
  without its components of fewer than `min_area_px` pixels. B are the components of q1 > 255
  `marker_threshold` that have at least `min_marker_px` pixels. A *unit* is a component of the union of E
  and B; units do not affect each other.
- Every component of B is a marker. Pixels of its unit that lie in its holes and in no other marker belong
  to it too; in holes of several markers: to the innermost.
- Markers, cut to E, are flooded through E. A pixel's level is its q1, or that of the pixel from which it was
  reached where that is lower; the highest level comes first, of equals the first to be reached. The pixels
  of markers come before all others of their level, in raster order; neighbours are reached in the order up,
  left, right, down. This is skimage.segmentation.watershed of -q1 with mask E.
- Of a marker's pixels the largest 4-connected piece is the object (of equals the first in raster order).
"""

from __future__ import annotations

import numpy as np

from histocerb.core.tasks import PostprocParams
from histocerb.postproc.compiled import I32, I64, U8, Bool, compiled
from histocerb.postproc.components import components, large_components, largest_pieces
from histocerb.postproc.holes import enclosures_of
from histocerb.postproc.maps import TaskMaps, cutoff
from histocerb.postproc.runs import find_runs

REACH_PX = 1
"""How far from a pixel its membership in a unit is decided: the radius of the erosion."""


def unit_mask(maps: TaskMaps, params: PostprocParams) -> Bool:
    """H x W bool. Its components are unions of whole units: small components are not dropped here."""
    return _eroded(maps, params) | (maps.inside > cutoff(params.marker_threshold))


def label_objects(maps: TaskMaps, params: PostprocParams) -> tuple[I32, I64]:
    """H x W int32: objects numbered in raster order of their first pixels, and flat indices of these."""
    parts, first = large_components(_eroded(maps, params), params.min_area_px)
    within = parts > 0
    labels, number = _markers(maps, params, within)
    found, _, anchors = largest_pieces(_flooded(labels, parts, maps.inside, len(first)), number)
    return found, anchors


def _markers(maps: TaskMaps, params: PostprocParams, within: Bool) -> tuple[I32, int]:
    """Markers with the pixels of their unit in their holes, numbered, and how many there are."""
    runs = find_runs((maps.inside > cutoff(params.marker_threshold)).view(np.uint8), zero_too=True)
    is_marker = runs.areas() >= params.min_marker_px
    is_marker[1:] &= maps.inside.ravel()[runs.first()] > cutoff(params.marker_threshold)
    is_marker[0] = False
    owner = (np.cumsum(is_marker) * is_marker).astype(np.int32)
    labels = runs.paint(owner)
    found = enclosures_of(runs, owner)
    if found is not None and _any_enclosed(
        labels.ravel(), found.nodes.ravel(), found.encloser, within.ravel()
    ):
        units, _ = components(within | (labels > 0))
        _fill(labels.ravel(), found.nodes.ravel(), found.encloser, within.ravel(), units.ravel())
    return labels, int(is_marker.sum())


def _eroded(maps: TaskMaps, params: PostprocParams) -> Bool:
    raw = maps.inside.astype(np.uint16) + maps.contour > cutoff(params.threshold)
    eroded = raw.copy()
    eroded[1:] &= raw[:-1]
    eroded[:-1] &= raw[1:]
    eroded[:, 1:] &= raw[:, :-1]
    eroded[:, :-1] &= raw[:, 1:]
    return eroded


@compiled
def _any_enclosed(labels: I32, nodes: I32, encloser: I32, within: Bool) -> bool:
    for pixel in range(labels.size):
        if within[pixel] and labels[pixel] == 0 and encloser[nodes[pixel]] > 0:
            return True
    return False


@compiled
def _fill(labels: I32, nodes: I32, encloser: I32, within: Bool, units: I32) -> None:
    """Add to each marker the pixels of its unit in its holes (in place)."""
    unit_of_marker = np.zeros(len(encloser), np.int32)
    for pixel in range(labels.size):
        unit_of_marker[labels[pixel]] = units[pixel]
    for pixel in range(labels.size):
        if within[pixel] and labels[pixel] == 0:
            marker = encloser[nodes[pixel]]
            if marker > 0 and unit_of_marker[marker] == units[pixel]:
                labels[pixel] = marker


def _flooded(labels: I32, parts: I32, inside: U8, count: int) -> I32:
    """Flood markers, cut to `parts`, through these: components of the mask, 1..count."""
    flooded, todo, levels = _padded(labels, parts, inside)
    sources, starts = _sources(flooded, todo, parts, count)
    _flood(flooded.ravel(), todo.ravel(), levels.ravel(), sources, starts, todo.shape[1])
    return np.ascontiguousarray(flooded[1:-1, 1:-1])


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
