"""Object-level F1, Dice and Hausdorff distance as the GlaS challenge defines them.

Sirinukunwattana et al., "Gland segmentation in colon histology images: the GlaS challenge contest",
Medical Image Analysis 2017. The sums of several images are pooled with `+`, as the challenge does.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from histocerb.core.geometry import Region
from histocerb.metrics.matching import Float, Ids, Int, Overlaps, match


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
    """One object: its mask within its bounding box."""

    box: Region
    mask: npt.NDArray[np.bool_]


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
    sides = np.array([_sides(other) for other in others])
    distances = [
        _hausdorff(crop, others[partner[row]]) if row in partner else _nearest_hausdorff(crop, others, sides)
        for row, crop in enumerate(objects)
    ]
    return np.array(distances, np.float64)


def _nearest_hausdorff(crop: _Crop, others: list[_Crop], sides: Int) -> float:
    """Smallest Hausdorff distance to any of the others, whose bounding boxes have these sides.

    No distance is below the largest offset between equal sides of the bounding boxes, so that only the few
    objects with a small offset are compared.
    """
    bound = np.abs(sides - np.array(_sides(crop))).max(1)
    smallest = np.inf
    for row in np.argsort(bound, kind="stable"):
        if bound[row] >= smallest:
            break
        smallest = min(smallest, _hausdorff(crop, others[row]))
    return float(smallest)


def _sides(crop: _Crop) -> tuple[int, int, int, int]:
    return crop.box.x, crop.box.y, crop.box.right, crop.box.bottom


def _hausdorff(a: _Crop, b: _Crop) -> float:
    """Largest distance from a pixel of one object to the nearest pixel of the other."""
    box = a.box.union(b.box)
    masks = [np.zeros((box.height, box.width), np.uint8) for _ in range(2)]
    for mask, crop in zip(masks, (a, b), strict=True):
        mask[crop.box.slices(box)] = crop.mask
    to_a, to_b = (cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in masks)
    return max(float(to_b[masks[0] > 0].max()), float(to_a[masks[1] > 0].max()))


def _largest(side: Int, overlaps: Overlaps) -> Int:
    """For every object of a side that has pairs, its pair of most pixels (the first of equals)."""
    order = np.lexsort((np.arange(len(side)), -overlaps.shared, side))
    _, first = np.unique(side[order], return_index=True)
    return order[first]
