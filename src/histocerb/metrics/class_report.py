"""Everything that is said about classes that were told: figures with intervals, confusion, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histocerb.metrics.calibration import Reliability, ece_per_class, reliability
from histocerb.metrics.classification import average_precision_per_class, confusion, f1_per_class
from histocerb.metrics.figures import Json, number, per_class, summary
from histocerb.metrics.interval import Patients, defined_mean, ratio, summarise_together
from histocerb.metrics.matching import Float, Int
from histocerb.metrics.segmentation import ClassScores, mean_of_defined

_RANKINGS = 200
"""Resamples for average precision, which sorts anew for each of them."""


@dataclass(frozen=True)
class Guesses:
    """N patches or objects of known class, and what was said about them.

    Attributes:
        classes: C names.
        image: N, number of the image that each is from.
        truth: N class codes.
        guess: N class codes.
        confidence: N, the probability that the guess came with: `class_prob` of objects.
        probabilities: N x C; nan for classes that the thing's data set does not tell apart.
    """

    classes: tuple[str, ...]
    image: Int
    truth: Int
    guess: Int
    confidence: Float
    probabilities: Float

    def select(self, index: Int) -> Guesses:
        """The things at `index`, in that order, perhaps several times."""
        return Guesses(
            self.classes,
            self.image[index],
            self.truth[index],
            self.guess[index],
            self.confidence[index],
            self.probabilities[index],
        )


def class_report(found: Guesses, patients: Patients, seed: int = 0) -> Json:
    """Accuracy, mF1 and mAP with intervals; F1 and AP per class; confusion; calibration.

    Means are over the classes that the truth has, intervals over patients, one per image. Calibration is
    that of the guess.
    """
    images, of_thing = np.unique(found.image, return_inverse=True)
    c = len(found.classes)
    patients = [patients[image] for image in images]
    per_image = np.zeros((len(images), c * c))
    np.add.at(per_image, (of_thing, found.truth * c + found.guess), 1)
    counts = confusion(found.truth, found.guess, c)
    present = np.flatnonzero(counts.sum(1))

    def accuracy(weight: Int) -> Float:
        drawn = weight @ per_image
        return ratio(drawn[:, :: c + 1].sum(axis=1), drawn.sum(axis=1))

    def mean_f1(weight: Int) -> Float:
        drawn = (weight @ per_image).reshape(-1, c, c)
        right = np.diagonal(drawn, axis1=1, axis2=2)
        return defined_mean(ratio(2 * right, drawn.sum(1) + drawn.sum(2))[:, present])

    def mean_precision(weight: Int) -> Float:
        chosen = (found.select(np.repeat(np.arange(len(of_thing)), drawn[of_thing])) for drawn in weight)
        return np.array([_mean_of_present(_precision(one), present) for one in chosen])

    f1, precision = f1_per_class(counts, found.classes), _precision(found)
    right = float(np.trace(counts) / counts.sum()) if counts.sum() else float("nan")
    f1_mean, precision_mean = _mean_of_present(f1, present), _mean_of_present(precision, present)
    return {
        "n": len(found.truth),
        "accuracy": summary(summarise_together(right, patients, accuracy, seed)),
        "mf1": summary(summarise_together(f1_mean, patients, mean_f1, seed)),
        "map": summary(summarise_together(precision_mean, patients, mean_precision, seed, _RANKINGS)),
        "f1": _of_present(f1, present),
        "ap": _of_present(precision, present),
        "confusion": {"classes": list(found.classes), "counts": counts.tolist()},
        "calibration": _calibration(found, present),
    }


def _precision(found: Guesses) -> ClassScores:
    return average_precision_per_class(found.truth, found.probabilities, found.classes)


def _calibration(found: Guesses, present: Int) -> Json:
    bins = reliability(found.confidence, found.guess == found.truth)
    of_class = ece_per_class(found.truth, found.probabilities, found.classes)
    return {
        "ece": number(bins.ece),
        "mce": number(bins.mce),
        "bins": _table(bins),
        "ece_per_class": _of_present(of_class, present),
    }


def _table(bins: Reliability) -> list[Json]:
    """The bins that hold predictions."""
    return [
        {
            "low": float(bins.edges[row]),
            "high": float(bins.edges[row + 1]),
            "n": int(bins.count[row]),
            "confidence": float(bins.confidence[row]),
            "accuracy": float(bins.accuracy[row]),
        }
        for row in np.flatnonzero(bins.count)
    ]


def _of_present(scores: ClassScores, present: Int) -> dict[str, float | None]:
    kept = present.tolist()
    names, values = tuple(scores.classes[k] for k in kept), tuple(scores.values[k] for k in kept)
    return per_class(ClassScores(names, values))


def _mean_of_present(scores: ClassScores, present: Int) -> float:
    return mean_of_defined([scores.values[code] for code in present])
