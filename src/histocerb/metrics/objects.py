"""Object-level F1, Dice and Hausdorff distance as the GlaS challenge defines them.

Sirinukunwattana et al., "Gland segmentation in colon histology images: the GlaS challenge contest",
Medical Image Analysis 2017. The sums of several images are pooled with `+`, as the challenge does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from histocerb.core.geometry import Region
from histocerb.metrics.matching import Float, Ids, Int, Overlaps, match

_TURNS = np.arange(16) * np.pi / 8
_DIRECTIONS = np.stack([np.cos(_TURNS), np.sin(_TURNS)])
"""2 x 16 unit vectors."""
_AT_ONCE = 32
"""Others whose closer bound is computed together."""


@dataclass(frozen=True)
class DetectionCounts:
    """True and false positives and misses of one image; `a + b` pools images."""

    tp: int
    fp: int
    fn: int

    def __add__(self, other: DetectionCounts) -> DetectionCounts:
        return DetectionCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted objects that are right; nan without any."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else float("nan")

    @property
    def recall(self) -> float:
        """TP / (TP + FN); nan without a truth object."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; nan without any object."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else float("nan")


@dataclass(frozen=True)
class ObjectScore:
    """Area-weighted scores of truth and of predicted objects; `a + b` pools images."""

    truth_sum: float
    truth_area: int
    pred_sum: float
    pred_area: int

    def __add__(self, other: ObjectScore) -> ObjectScore:
        return ObjectScore(
            self.truth_sum + other.truth_sum,
            self.truth_area + other.truth_area,
            self.pred_sum + other.pred_sum,
            self.pred_area + other.pred_area,
        )

    @property
    def value(self) -> float:
        """Mean of the weighted means of both sides, or that of the one side that has objects; nan if none."""
        sides = ((self.truth_sum, self.truth_area), (self.pred_sum, self.pred_area))
        means = [total / area for total, area in sides if area]
        return float(np.mean(means)) if means else float("nan")


def object_f1(overlaps: Overlaps) -> DetectionCounts:
    """Detections of one image.

    The truth of a predicted object is the one it shares most pixels with; it is a true positive when it
    covers at least half of that truth. Truth objects that no true positive has are misses.
    """
    best = _largest(overlaps.pred, overlaps)
    truth = overlaps.truth[best]
    is_hit = 2 * overlaps.shared[best] >= overlaps.truth_area[truth]
    tp = int(np.count_nonzero(is_hit))
    return DetectionCounts(
        tp, len(overlaps.pred_ids) - tp, len(overlaps.truth_ids) - len(np.unique(truth[is_hit]))
    )


def object_dice(overlaps: Overlaps) -> ObjectScore:
    """Dice of every object with the partner it shares most pixels with (0 without), weighted by its area."""
    coefficient = overlaps.dice
    of_truth = _largest(overlaps.truth, overlaps)
    of_pred = _largest(overlaps.pred, overlaps)
    return ObjectScore(
        float(coefficient[of_truth] @ overlaps.truth_area[overlaps.truth[of_truth]]),
        int(overlaps.truth_area.sum()),
        float(coefficient[of_pred] @ overlaps.pred_area[overlaps.pred[of_pred]]),
        int(overlaps.pred_area.sum()),
    )


def object_hausdorff(truth: Ids, pred: Ids) -> ObjectScore:
    """Hausdorff distance in pixels of every object to its partner, weighted by its area.

    The partner is the object it shares most pixels with; if there is none, the one at the smallest
    Hausdorff distance. Where one side has no objects, the distance of the other's is infinite.

    Args:
        truth: H x W ids, 0 for background.
        pred: H x W ids of the same shape.
    """
    overlaps = match(truth, pred)
    truth_masks, pred_masks = _crops(truth, overlaps.truth_ids), _crops(pred, overlaps.pred_ids)
    of_truth = _partners(overlaps.truth, overlaps.pred, overlaps, truth_masks, pred_masks)
    of_pred = _partners(overlaps.pred, overlaps.truth, overlaps, pred_masks, truth_masks)
    return ObjectScore(
        float(of_truth @ overlaps.truth_area),
        int(overlaps.truth_area.sum()),
        float(of_pred @ overlaps.pred_area),
        int(overlaps.pred_area.sum()),
    )


@dataclass(frozen=True)
class _Crop:
    """One object.

    Attributes:
        box: bounding box.
        mask: its pixels within the box.
    """

    box: Region
    mask: npt.NDArray[np.bool_]

    @cached_property
    def edge(self) -> Int:
        """Its pixels (x, y) beside others."""
        framed = np.pad(self.mask, 1)
        inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
        return self._points(self.mask & ~inner)

    @cached_property
    def corners(self) -> Int:
        """Its outermost pixels (x, y) in 16 directions."""
        return np.asarray(self.edge[np.argmax(self.edge @ _DIRECTIONS, axis=0)], np.int64)

    @cached_property
    def tree(self) -> KDTree:
        """Finds the pixel of the edge that is nearest to a place."""
        return KDTree(self.edge)

    def within(self, box: Region) -> Int:
        """Its pixels (x, y) in a box."""
        wanted = np.zeros_like(self.mask)
        wanted[self.box.intersect(box).slices(self.box)] = True
        return self._points(self.mask & wanted)

    def holds(self, points: Int) -> npt.NDArray[np.bool_]:
        """Which of N pixels (x, y) are its own."""
        x, y = (points - (self.box.x, self.box.y)).T
        is_near: npt.NDArray[np.bool_] = (x >= 0) & (y >= 0) & (x < self.box.width) & (y < self.box.height)
        is_near[is_near] = self.mask[y[is_near], x[is_near]]
        return is_near

    def _points(self, chosen: npt.NDArray[np.bool_]) -> Int:
        rows, columns = np.nonzero(chosen)
        return np.stack([columns + self.box.x, rows + self.box.y], axis=1)


def _crops(ids: Ids, wanted: Int) -> list[_Crop]:
    found = ndimage.find_objects(np.searchsorted(wanted, ids) * (ids > 0) + (ids > 0))
    crops = []
    for object_id, (rows, columns) in zip(wanted, found, strict=True):
        box = Region(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        crops.append(_Crop(box, ids[rows, columns] == object_id))
    return crops


def _partners(own: Int, other: Int, overlaps: Overlaps, objects: list[_Crop], others: list[_Crop]) -> Float:
    """Hausdorff distance of each object to its partner."""
    if not others:
        return np.full(len(objects), np.inf)
    best = _largest(own, overlaps)
    partner = dict(zip(own[best].tolist(), other[best].tolist(), strict=True))
    boxes, corners = _boxes(others), np.array([other.corners for other in others])
    distances = [
        _hausdorff(crop, others[partner[row]])
        if row in partner
        else _nearest_hausdorff(crop, others, boxes, corners)
        for row, crop in enumerate(objects)
    ]
    return np.array(distances, np.float64)


def _nearest_hausdorff(crop: _Crop, others: list[_Crop], boxes: Int, corners: Int) -> float:
    """Smallest Hausdorff distance to any of the M others.

    No distance is below the largest offset between equal sides of the bounding boxes, nor below that of an
    outermost pixel of one object to the bounding box of the other, so that only the few others for which
    these bounds are small are compared.

    Args:
        crop: an object.
        others: the others.
        boxes: M x 4, theirs.
        corners: M x directions x 2, their outermost pixels.
    """
    bound = np.abs(boxes - _boxes([crop])).max(1)
    order = np.argsort(bound, kind="stable")
    smallest = np.inf
    for first in range(0, len(order), _AT_ONCE):
        rows = order[first : first + _AT_ONCE]
        if bound[rows[0]] >= smallest:
            break
        closer = np.maximum(
            _to_boxes(crop.corners[None], boxes[rows][:, None]).max(1),
            _to_boxes(corners[rows], _boxes([crop])[:, None]).max(1),
        )
        for place in np.argsort(closer, kind="stable"):
            if closer[place] >= smallest:
                break
            smallest = min(smallest, _hausdorff(crop, others[rows[place]]))
    return float(smallest)


def _boxes(crops: list[_Crop]) -> Int:
    """First and last columns and rows: N x 4 (left, top, right, bottom), all of the object."""
    return np.array([(c.box.x, c.box.y, c.box.right - 1, c.box.bottom - 1) for c in crops], np.int64)


def _to_boxes(points: Int, boxes: Int) -> Float:
    """Distances from points (..., 2) to boxes (..., 4), 0 inside."""
    beyond = np.maximum(np.maximum(boxes[..., :2] - points, points - boxes[..., 2:]), 0)
    return np.asarray(np.hypot(beyond[..., 0], beyond[..., 1]), np.float64)


def _hausdorff(a: _Crop, b: _Crop) -> float:
    """Largest distance from a pixel of one object to the nearest pixel of the other."""
    return max(_farthest(a, b), _farthest(b, a))


def _farthest(a: _Crop, b: _Crop) -> float:
    """Largest distance from a pixel of `a` to the nearest pixel of `b`.

    It is found at the edge of `a` or in the bounding box of `b`: beyond that box, a step away from it is a
    step away from all of `b`.
    """
    points = np.concatenate([a.edge, a.within(b.box)])
    points = points[~b.holds(points)]
    return float(b.tree.query(points)[0].max()) if len(points) else 0.0


def _largest(side: Int, overlaps: Overlaps) -> Int:
    """For every object of a side that has pairs, its pair of most pixels (the first of equals)."""
    order = np.lexsort((np.arange(len(side)), -overlaps.shared, side))
    _, first = np.unique(side[order], return_index=True)
    return order[first]
