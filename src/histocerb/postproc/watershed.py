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

from histocerb.core.outlines import offsets
from histocerb.core.tasks import PostprocParams
from histocerb.postproc.compiled import I32, I64, U8, Bool, compiled
from histocerb.postproc.components import areas, components, large_components, largest_pieces
from histocerb.postproc.holes import enclosures
from histocerb.postproc.maps import TaskMaps, cutoff

REACH_PX = 1
"""How far from a pixel its membership in a unit is decided: the radius of the erosion."""


def unit_mask(maps: TaskMaps, params: PostprocParams) -> Bool:
    """H x W bool. Its components are unions of whole units: small components are not dropped here."""
    return _eroded(maps, params) | (maps.inside > cutoff(params.marker_threshold))


def label_objects(maps: TaskMaps, params: PostprocParams) -> I32:
    """H x W int32: objects numbered in raster order of their first pixels."""
    parts, count = components(_eroded(maps, params))
    large = areas(parts, count) >= params.min_area_px
    large[0] = False
    within = large[parts]
    labels, number = large_components(maps.inside > cutoff(params.marker_threshold), params.min_marker_px)
    _fill_markers(labels, within)
    labels[~within] = 0
    return largest_pieces(_flooded(labels, within, maps.inside, parts, count), number)[0]


def _eroded(maps: TaskMaps, params: PostprocParams) -> Bool:
    raw = maps.inside.astype(np.uint16) + maps.contour > cutoff(params.threshold)
    eroded = raw.copy()
    eroded[1:] &= raw[:-1]
    eroded[:-1] &= raw[1:]
    eroded[:, 1:] &= raw[:, :-1]
    eroded[:, :-1] &= raw[:, 1:]
    return eroded


def _fill_markers(labels: I32, within: Bool) -> None:
    """Add to each marker the pixels of its unit in its holes (in place)."""
    found = enclosures(labels)
    if found is None:
        return
    nodes, encloser = found.nodes.ravel(), found.encloser
    if _any_enclosed(labels.ravel(), nodes, encloser, within.ravel()):
        units, _ = components(within | (labels > 0))
        _fill(labels.ravel(), nodes, encloser, within.ravel(), units.ravel())


@compiled
def _any_enclosed(labels: I32, nodes: I32, encloser: I32, within: Bool) -> bool:
    for pixel in range(labels.size):
        if within[pixel] and labels[pixel] == 0 and encloser[nodes[pixel]] > 0:
            return True
    return False


@compiled
def _fill(labels: I32, nodes: I32, encloser: I32, within: Bool, units: I32) -> None:
    unit_of_marker = np.zeros(len(encloser), np.int32)
    for pixel in range(labels.size):
        unit_of_marker[labels[pixel]] = units[pixel]
    for pixel in range(labels.size):
        if within[pixel] and labels[pixel] == 0:
            marker = encloser[nodes[pixel]]
            if marker > 0 and unit_of_marker[marker] == units[pixel]:
                labels[pixel] = marker


def _flooded(labels: I32, within: Bool, inside: U8, parts: I32, count: int) -> I32:
    """Flood markers through `within`; `parts` are its components, 1..count."""
    todo = np.pad(within & (labels == 0), 1)
    front = np.zeros_like(todo)
    front[1:-1, 1:-1] = (labels > 0) & (todo[:-2, 1:-1] | todo[2:, 1:-1] | todo[1:-1, :-2] | todo[1:-1, 2:])
    sources, part = np.flatnonzero(front), parts[front[1:-1, 1:-1]]
    in_order = sources[np.argsort(part, kind="stable")].astype(np.int32)
    starts = offsets(np.bincount(part, minlength=count + 1))
    flooded = np.pad(labels, 1)
    _flood(flooded.ravel(), todo.ravel(), np.pad(inside, 1).ravel(), in_order, starts, todo.shape[1])
    return np.ascontiguousarray(flooded[1:-1, 1:-1])


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
