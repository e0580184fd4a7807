"""How well pixels and objects are found: Dice, panoptic quality, AJI and the means over classes.

What is undefined because there is nothing to find and nothing was found is nan; means skip nan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.metrics.matching import Ids, Overlaps

Classes = Mapping[int, str]
"""Class name per object id."""

MATCH_IOU = 0.5
"""Pairs above it are true positives; no object can have two such partners."""

_UNWANTED, _UNKNOWN = -1, -2


@dataclass(frozen=True)
class PanopticQuality:
    """Counts from which panoptic quality follows (paper eq. 6); `a + b` pools two images or classes.

    Attributes:
        tp: matched pairs.
        fp: predicted objects without a partner.
        fn: truth objects without a partner.
        iou_sum: sum of IoU over the matched pairs.
    """

    tp: int
    fp: int
    fn: int
    iou_sum: float

    def __add__(self, other: PanopticQuality) -> PanopticQuality:
        return PanopticQuality(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.iou_sum + other.iou_sum
        )

    @property
    def dq(self) -> float:
        """Detection quality, the F1 of matched objects; nan without any object."""
        total = self.tp + 0.5 * (self.fp + self.fn)
        return self.tp / total if total else float("nan")

    @property
    def sq(self) -> float:
        """Segmentation quality, the mean IoU of matched pairs; nan without a match."""
        return self.iou_sum / self.tp if self.tp else float("nan")

    @property
    def pq(self) -> float:
        """Panoptic quality DQ x SQ; 0 without a match, nan without any object."""
        return self.dq * self.sq if self.tp else self.dq


@dataclass(frozen=True)
class ClassScores:
    """One value per class, nan where it is undefined."""

    classes: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the classes that have a value; nan if none has."""
        return mean_of_defined(self.values)


def dice(truth: npt.NDArray[np.bool_], pred: npt.NDArray[np.bool_]) -> float:
    """Dice coefficient of two masks (paper eq. 5); nan when both are empty."""
    total = np.count_nonzero(truth) + np.count_nonzero(pred)
    return 2 * np.count_nonzero(truth & pred) / total if total else float("nan")


def panoptic_quality(overlaps: Overlaps) -> PanopticQuality:
    """Counts of one image at IoU > 0.5, classes ignored."""
    iou = overlaps.iou
    matched = iou > MATCH_IOU
    tp = int(np.count_nonzero(matched))
    return PanopticQuality(
        tp, len(overlaps.pred_ids) - tp, len(overlaps.truth_ids) - tp, float(iou[matched].sum())
    )


def panoptic_quality_per_class(
    overlaps: Overlaps, truth_classes: Classes, pred_classes: Classes, classes: Sequence[str]
) -> dict[str, PanopticQuality]:
    """Counts of one image for each class on its own.

    Args:
        overlaps: Of all objects, whatever their class.
        truth_classes: Class per truth id; objects without one count nowhere, nor do their partners.
        pred_classes: Class per predicted id.
        classes: The classes wanted.
    """
    code = {name: index for index, name in enumerate(classes)}
    truth = _codes(overlaps.truth_ids, truth_classes, code)
    pred = _codes(overlaps.pred_ids, pred_classes, code)
    iou = overlaps.iou
    partners = iou > MATCH_IOU
    pred[overlaps.pred[partners & (truth[overlaps.truth] == _UNKNOWN)]] = _UNKNOWN
    matched = partners & (truth[overlaps.truth] == pred[overlaps.pred])
    found = {}
    for name, index in code.items():
        own = iou[matched & (truth[overlaps.truth] == index)]
        n_truth, n_pred = np.count_nonzero(truth == index), np.count_nonzero(pred == index)
        found[name] = PanopticQuality(
            len(own), int(n_pred) - len(own), int(n_truth) - len(own), float(own.sum())
        )
    return found


def mpq(images: Sequence[Mapping[str, PanopticQuality]]) -> ClassScores:
    """Mean over images of the PQ of each class; an image counts where its truth has the class."""
    classes = _class_names(images)
    counts = [[image[name] for image in images if name in image] for name in classes]
    values = [mean_of_defined([one.pq for one in of_class if one.tp + one.fn]) for of_class in counts]
    return ClassScores(classes, tuple(values))


def mpq_plus(images: Sequence[Mapping[str, PanopticQuality]]) -> ClassScores:
    """PQ of each class from the counts of all images together."""
    classes = _class_names(images)
    nothing = PanopticQuality(0, 0, 0, 0.0)
    return ClassScores(
        classes, tuple(sum((image.get(name, nothing) for image in images), nothing).pq for name in classes)
    )


def aji(overlaps: Overlaps) -> float:
    """Aggregated Jaccard index (Kumar et al. 2017); nan without any object.

    Each truth object takes the prediction of largest IoU (the lower id on ties); predictions that nobody
    took enlarge the union.
    """
    iou = overlaps.iou
    order = np.lexsort((overlaps.pred, -iou, overlaps.truth))
    _, first = np.unique(overlaps.truth[order], return_index=True)
    best = order[first]
    shared = int(overlaps.shared[best].sum())
    taken = np.zeros(len(overlaps.pred_ids), np.bool_)
    taken[overlaps.pred[best]] = True
    union = int(overlaps.truth_area.sum() + overlaps.pred_area[overlaps.pred[best]].sum()) - shared
    union += int(overlaps.pred_area[~taken].sum())
    return shared / union if union else float("nan")


def mean_of_defined(values: Sequence[float]) -> float:
    """Mean of the values that are not nan; nan if there are none."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _codes(ids: Ids, classes: Classes, code: Mapping[str, int]) -> npt.NDArray[np.int64]:
    names = [classes.get(int(i)) for i in ids]
    return np.array([_UNKNOWN if name is None else code.get(name, _UNWANTED) for name in names], np.int64)


def _class_names(images: Sequence[Mapping[str, PanopticQuality]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for image in images for name in image))
