"""How well classes are told: confusion, F1 and average precision (paper eq. 7-9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from histocerb.metrics.segmentation import ClassScores

Codes = npt.NDArray[np.integer]


def confusion(truth: Codes, pred: Codes, n_classes: int) -> npt.NDArray[np.int64]:
    """Counts of (truth, predicted) pairs: C x C, a row per true class.

    Args:
        truth: N class codes in 0..C-1.
        pred: N class codes in 0..C-1.
        n_classes: C.

    Raises:
        ValueError: The lengths differ or a code is out of range.
    """
    if truth.shape != pred.shape:
        raise ValueError(f"expected as many predictions as truths, found {pred.shape} and {truth.shape}")
    codes = np.concatenate([truth, pred])
    if codes.size and not (codes.min() >= 0 and codes.max() < n_classes):
        raise ValueError(f"expected codes in 0..{n_classes - 1}, found {codes.min()}..{codes.max()}")
    joint = truth.astype(np.int64) * n_classes + pred
    return np.bincount(joint, minlength=n_classes**2).reshape(n_classes, n_classes)


def f1_per_class(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> ClassScores:
    """F1 of each class from a confusion matrix; nan for a class that is neither there nor predicted."""
    right = np.diag(counts)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    values = [2 * int(r) / int(t) if t else float("nan") for r, t in zip(right, total, strict=True)]
    return ClassScores(tuple(classes), tuple(values))


def average_precision(truth: npt.NDArray[np.bool_], score: npt.NDArray[np.floating]) -> float:
    """Step-wise area under the precision-recall curve (paper eq. 9); nan without a positive.

    Args:
        truth: N, True for positives.
        score: N, higher is more positive; equal scores share one threshold.
    """
    positives = np.count_nonzero(truth)
    if positives == 0:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    is_last = np.append(np.diff(score[order]) != 0, True)
    tp = np.cumsum(truth[order])[is_last]
    taken = np.flatnonzero(is_last) + 1
    return float(np.sum(np.diff(tp, prepend=0) / positives * (tp / taken)))


def average_precision_per_class(
    truth: Codes, probabilities: npt.NDArray[np.floating], classes: Sequence[str]
) -> ClassScores:
    """Average precision of each class against the rest; its mean is mAP.

    Args:
        truth: N class codes.
        probabilities: N x C; nan leaves a thing out for that class.
        classes: C names.
    """
    values = []
    for code in range(len(classes)):
        known = ~np.isnan(probabilities[:, code])
        values.append(average_precision(truth[known] == code, probabilities[known, code]))
    return ClassScores(tuple(classes), tuple(values))
