"""Objects that touch (nuclei): components of surely-inside pixels grow by watershed into inside + contour.

With q1, q2 the bytes of inside and contour, all regions 4-connected:

- E is the mask q1 + q2 > 255 t, where contours reach beyond objects (`outer_contour`) eroded once by the
  3 x 3 cross (pixels outside the image count as set), without its components of fewer than `min_area_px`
  pixels. B are the components of q1 > 255
  `marker_threshold` that have at least `min_marker_px` pixels. A *unit* is a component of the union of E
  and B; units do not affect each other.
- Every component of B is a marker. Pixels of its unit that lie in its holes and in no other marker belong
  to it too; in holes of several markers: to the innermost.
- Markers that hold several surer parts give way to these (see `split`).
- Markers, cut to E, are flooded through E (see `flood`).
- Of a marker's pixels the largest 4-connected piece is the object (of equals the first in raster order).
"""

from __future__ import annotations

import numpy as np

from histocerb.core.compiled import compiled
from histocerb.core.tasks import PostprocParams
from histocerb.postproc.arrays import I32, I64, Bool
from histocerb.postproc.components import components, large_components, largest_pieces
from histocerb.postproc.flood import flooded
from histocerb.postproc.holes import enclosures_of
from histocerb.postproc.maps import TaskMaps, cutoff
from histocerb.postproc.runs import find_runs
from histocerb.postproc.split import split

REACH_PX = 1
"""How far from a pixel its membership in a unit is decided: the radius of the erosion."""


def unit_mask(maps: TaskMaps, params: PostprocParams) -> Bool:
    """H x W bool. Its components are unions of whole units: small components are not dropped here."""
    return _extent(maps, params) | (maps.inside > cutoff(params.marker_threshold))


def label_objects(maps: TaskMaps, params: PostprocParams) -> tuple[I32, I64]:
    """H x W int32: objects numbered in raster order of their first pixels, and flat indices of these."""
    parts, first = large_components(_extent(maps, params), params.min_area_px)
    within = parts > 0
    labels, number = split(*_markers(maps, params, within), maps.inside, params)
    found, _, anchors = largest_pieces(flooded(labels, parts, maps.inside, len(first)), number)
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


def _extent(maps: TaskMaps, params: PostprocParams) -> Bool:
    raw = maps.inside.astype(np.uint16) + maps.contour > cutoff(params.threshold)
    if not params.outer_contour:
        return raw
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
