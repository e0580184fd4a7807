"""Which objects of two id images overlap, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Ids = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Overlaps:
    """The objects of a truth and a prediction, and the K pairs that share pixels.

    Attributes:
        truth_ids: T distinct ids, ascending, without 0.
        pred_ids: P distinct ids, ascending, without 0.
        truth_area: T, pixels per truth object.
        pred_area: P, pixels per predicted object.
        truth: K rows of `truth_ids`; pairs are ordered by truth, then by prediction.
        pred: K rows of `pred_ids`.
        shared: K, common pixels of each pair, at least 1.
    """

    truth_ids: Int
    pred_ids: Int
    truth_area: Int
    pred_area: Int
    truth: Int
    pred: Int
    shared: Int

    @property
    def iou(self) -> Float:
        """Intersection over union of each pair, K float64."""
        return self.shared / (self.truth_area[self.truth] + self.pred_area[self.pred] - self.shared)

    @property
    def dice(self) -> Float:
        """Dice coefficient of each pair, K float64."""
        return 2 * self.shared / (self.truth_area[self.truth] + self.pred_area[self.pred])


def match(truth: Ids, pred: Ids) -> Overlaps:
    """Overlapping pairs of two id images by one joint histogram, linear in the pixels.

    Args:
        truth: H x W ids, 0 for background.
        pred: H x W ids of the same shape.

    Raises:
        ValueError: The shapes differ, or an id is negative.
    """
    if truth.shape != pred.shape:
        raise ValueError(f"expected id images of one shape, found {truth.shape} and {pred.shape}")
    truth_id, pred_id, pixels = _joint_histogram(truth.ravel(), pred.ravel())
    truth_ids, truth_row = np.unique(truth_id, return_inverse=True)
    pred_ids, pred_row = np.unique(pred_id, return_inverse=True)
    if len(truth_ids) and min(truth_ids[0], pred_ids[0]) < 0:
        raise ValueError(f"expected ids of at least 0, found {min(truth_ids[0], pred_ids[0])}")
    both = (truth_id > 0) & (pred_id > 0)
    skip_truth, skip_pred = int(np.any(truth_ids == 0)), int(np.any(pred_ids == 0))
    return Overlaps(
        truth_ids=truth_ids[skip_truth:],
        pred_ids=pred_ids[skip_pred:],
        truth_area=_sums(truth_row, pixels, len(truth_ids))[skip_truth:],
        pred_area=_sums(pred_row, pixels, len(pred_ids))[skip_pred:],
        truth=truth_row[both] - skip_truth,
        pred=pred_row[both] - skip_pred,
        shared=pixels[both],
    )


def _joint_histogram(truth: Ids, pred: Ids) -> tuple[Int, Int, Int]:
    """Distinct (truth id, pred id) pairs in ascending order and their pixels; runs of equal pixels first."""
    if truth.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    changes = np.flatnonzero((truth[1:] != truth[:-1]) | (pred[1:] != pred[:-1])) + 1
    starts = np.concatenate([np.zeros(1, np.int64), changes])
    lengths = np.diff(starts, append=truth.size)
    truth_id, pred_id = truth[starts].astype(np.int64), pred[starts].astype(np.int64)
    order = np.lexsort((pred_id, truth_id))
    truth_id, pred_id, lengths = truth_id[order], pred_id[order], lengths[order]
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (truth_id[1:] != truth_id[:-1]) | (pred_id[1:] != pred_id[:-1])
    return truth_id[is_new], pred_id[is_new], np.add.reduceat(lengths, np.flatnonzero(is_new))


def _sums(row: Int, pixels: Int, count: int) -> Int:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, row, pixels)
    return sums
