"""How well places are found: hits by score, counts at a threshold, and the FROC curve.

A FROC curve shows the share of all marks that is found against the false positives per image, for every
threshold of the score. Its score is the mean sensitivity at 1/4, 1/2, 1, 2, 4 and 8 false positives per image
(Ehteshami Bejnordi et al., "Diagnostic assessment of deep learning algorithms for detection of lymph node
metastases in women with breast cancer", JAMA 2017), where further detections of a mark that is found already
count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from histocerb.metrics.interval import Patients, draws
from histocerb.metrics.matching import Float, Int
from histocerb.metrics.objects import DetectionCounts
from histocerb.metrics.places import Pairs

FALSE_PER_IMAGE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Where the FROC score samples the curve."""


class Outcome(IntEnum):
    """What became of a detection."""

    FALSE_POSITIVE = 0
    HIT = 1
    DUPLICATE = 2
    """Its marks have detections of higher score."""
    IGNORED = 3
    """It stands for a mark that does not count."""


@dataclass(frozen=True)
class Detections:
    """The detections of one image after comparison with its marks.

    Attributes:
        score: N.
        outcome: N values of `Outcome`.
        mark: N rows of the marks that were hit, -1 for other outcomes than a hit.
        n_truth: marks that count.
        is_complete: False where not every object of the image is marked; its false positives do not count.
    """

    score: Float
    outcome: npt.NDArray[np.int8]
    mark: Int
    n_truth: int
    is_complete: bool = True


@dataclass(frozen=True)
class Froc:
    """A FROC curve, from no detection to all of them; points have falling thresholds.

    Attributes:
        threshold: K, the score from which detections are taken; inf for the first point.
        false_per_image: K, mean over the complete images; nan if there are none.
        sensitivity: K, of the marks of all images; nan if there are none.
    """

    threshold: Float
    false_per_image: Float
    sensitivity: Float

    def at(self, false_per_image: float) -> float:
        """Sensitivity at that many false positives per image, linear between points, flat after the last."""
        left = int(np.searchsorted(self.false_per_image, false_per_image, side="right")) - 1
        right = min(left + 1, len(self.sensitivity) - 1)
        x, y = self.false_per_image, self.sensitivity
        if np.isnan(x[0]):
            return float("nan")
        share = (false_per_image - x[left]) / (x[right] - x[left]) if x[right] > x[left] else 0.0
        return float(y[left] + share * (y[right] - y[left]))

    @property
    def score(self) -> float:
        """Mean sensitivity at `FALSE_PER_IMAGE`; nan without a mark or without a complete image."""
        return float(np.mean([self.at(x) for x in FALSE_PER_IMAGE]))


def detections(
    pairs: Pairs,
    score: npt.NDArray[np.floating],
    n_truth: int,
    ignored: npt.NDArray[np.bool_] | None = None,
    is_complete: bool = True,
) -> Detections:
    """Give each mark of one image at most one detection.

    By falling score (the first of equals), each detection takes the closest mark that is still free, so that
    what it takes does not depend on detections of lower score: one comparison serves all thresholds.

    Args:
        pairs: Which may stand for which, from `metrics.places`.
        score: N, one per detection.
        n_truth: Marks.
        ignored: Per mark, True for one that counts nowhere, e.g. of unknown class; any number of detections
            may stand for it, if no mark that counts is free for them.
        is_complete: False where not every object of the image is marked.

    Raises:
        ValueError: Scores are nan, or `ignored` has another length.
    """
    if np.isnan(score).any():
        raise ValueError(f"expected a score for every detection, found {np.isnan(score).sum()} nan")
    skip = np.zeros(n_truth, np.bool_) if ignored is None else ignored
    if skip.shape != (n_truth,):
        raise ValueError(f"expected a flag for each of {n_truth} marks, found shape {skip.shape}")
    counts = ~skip[pairs.truth]
    outcome = np.full(len(score), Outcome.FALSE_POSITIVE, np.int8)
    outcome[pairs.pred[counts]] = Outcome.DUPLICATE
    outcome[pairs.pred[~counts]] = Outcome.IGNORED
    mark = np.full(len(score), -1, np.int64)
    order = np.lexsort((pairs.truth, -pairs.closeness, pairs.pred, -score[pairs.pred]))
    order = order[counts[order]]
    is_free, is_unused = [True] * n_truth, [True] * len(score)
    for truth, pred in zip(pairs.truth[order].tolist(), pairs.pred[order].tolist(), strict=True):
        if is_free[truth] and is_unused[pred]:
            is_free[truth] = is_unused[pred] = False
            mark[pred], outcome[pred] = truth, Outcome.HIT
    return Detections(score.astype(np.float64), outcome, mark, n_truth - int(skip.sum()), is_complete)


def detection_counts(images: Sequence[Detections], threshold: float) -> DetectionCounts:
    """Pooled counts of the detections with a score of at least `threshold`; a duplicate is a false positive.

    False positives of images that are not complete do not count.
    """
    tp = fp = 0
    for image in images:
        outcome = image.outcome[image.score >= threshold]
        tp += int(np.count_nonzero(outcome == Outcome.HIT))
        wrong = (outcome == Outcome.FALSE_POSITIVE) | (outcome == Outcome.DUPLICATE)
        fp += int(np.count_nonzero(wrong)) * image.is_complete
    return DetectionCounts(tp, fp, sum(image.n_truth for image in images) - tp)


def froc(images: Sequence[Detections]) -> Froc:
    """FROC curve over images, a point per distinct score."""
    return _Ranking.of(images).curve(np.ones(len(images), np.int64))


def froc_interval(
    images: Sequence[Detections],
    patients: Patients,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the FROC score; patients (one per image) are drawn with replacement.

    Returns:
        (low, high); draws without a mark or a complete image are left out; nan twice if all are, or below two
        patients.
    """
    ranking = _Ranking.of(images)
    chunks = draws(patients, seed, resamples)
    scores = np.array([ranking.curve(weight).score for chunk in chunks for weight in chunk])
    scores = scores[~np.isnan(scores)]
    if len(scores) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class _Ranking:
    """Detections of all images by falling score, ready for curves over any choice of images."""

    threshold: Float
    is_last: npt.NDArray[np.bool_]
    """True for the last of equal scores."""
    image: Int
    is_hit: npt.NDArray[np.bool_]
    is_false: npt.NDArray[np.bool_]
    n_truth: Int
    is_complete: npt.NDArray[np.bool_]

    @staticmethod
    def of(images: Sequence[Detections]) -> _Ranking:
        """Sort once."""
        score = np.concatenate([np.zeros(0), *(image.score for image in images)])
        outcome = np.concatenate([np.zeros(0, np.int8), *(image.outcome for image in images)])
        owner = np.repeat(np.arange(len(images)), [len(image.score) for image in images])
        is_complete = np.array([image.is_complete for image in images], np.bool_)
        order = np.argsort(-score, kind="stable")
        score, outcome, owner = score[order], outcome[order], owner[order]
        return _Ranking(
            threshold=score,
            is_last=np.append(score[1:] != score[:-1], True)[: len(score)],
            image=owner,
            is_hit=outcome == Outcome.HIT,
            is_false=(outcome == Outcome.FALSE_POSITIVE) & is_complete[owner],
            n_truth=np.array([image.n_truth for image in images], np.int64),
            is_complete=is_complete,
        )

    def curve(self, weight: Int) -> Froc:
        """FROC curve where image i is there `weight[i]` times."""
        of_detection = weight[self.image]
        hits = np.cumsum(of_detection * self.is_hit)[self.is_last]
        false = np.cumsum(of_detection * self.is_false)[self.is_last]
        n_truth, n_complete = int(weight @ self.n_truth), int(weight @ self.is_complete)
        return Froc(
            np.append(np.inf, self.threshold[self.is_last]),
            np.append(0.0, false) / (n_complete or np.nan),
            np.append(0.0, hits) / (n_truth or np.nan),
        )
