"""Whether probabilities mean what they say: reliability bins and expected calibration error.

Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.metrics.matching import Float, Int
from histocerb.metrics.segmentation import ClassScores

BINS = 15
"""Bins of equal width, as in the paper."""

_ROUNDING = 1e-5
"""What sums of float32 probabilities may exceed 1 by."""


@dataclass(frozen=True)
class Reliability:
    """Predictions in B bins of equal width from 0 to 1, each with its upper end; `a + b` pools two sets.

    Attributes:
        count: B, predictions in the bin.
        probability_sum: B, sum of their probabilities.
        right: B, how many of them came true.
    """

    count: Int
    probability_sum: Float
    right: Int

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            self.count + other.count, self.probability_sum + other.probability_sum, self.right + other.right
        )

    @property
    def edges(self) -> Float:
        """B + 1 ends of the bins."""
        return np.linspace(0, 1, len(self.count) + 1)

    @property
    def confidence(self) -> Float:
        """Mean probability per bin; nan for an empty one."""
        return self._mean(self.probability_sum)

    @property
    def accuracy(self) -> Float:
        """Share of the bin that came true; nan for an empty one."""
        return self._mean(self.right)

    @property
    def ece(self) -> float:
        """Expected calibration error: mean |accuracy - confidence| of the bins of all predictions, or nan."""
        total = int(self.count.sum())
        return float(np.abs(self.right - self.probability_sum).sum() / total) if total else float("nan")

    @property
    def mce(self) -> float:
        """Largest |accuracy - confidence| of a bin; nan without any prediction."""
        gap = np.abs(self.accuracy - self.confidence)[self.count > 0]
        return float(gap.max()) if len(gap) else float("nan")

    def _mean(self, total: npt.NDArray[np.number]) -> Float:
        empty = np.full(len(self.count), np.nan)
        return np.asarray(np.divide(total, self.count, out=empty, where=self.count > 0), np.float64)


def reliability(
    probability: npt.NDArray[np.floating], came_true: npt.NDArray[np.bool_], bins: int = BINS
) -> Reliability:
    """Bins of the probabilities that were given to events.

    Args:
        probability: Any shape, 0 to 1.
        came_true: The same shape.
        bins: B.

    Raises:
        ValueError: The shapes differ, a probability is not within 0 and 1, or there is no bin.
    """
    if probability.shape != came_true.shape:
        raise ValueError(f"expected two arrays of one shape, found {probability.shape} and {came_true.shape}")
    if bins < 1:
        raise ValueError(f"expected at least one bin, found {bins}")
    values = probability.ravel().astype(np.float64)
    if not ((values >= 0) & (values <= 1 + _ROUNDING)).all():
        raise ValueError(f"expected probabilities within 0 and 1, found {values.min()} to {values.max()}")
    row = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], values, side="left")
    return Reliability(
        np.bincount(row, minlength=bins),
        np.bincount(row, values, minlength=bins).astype(np.float64),
        np.bincount(row[came_true.ravel()], minlength=bins),
    )


def ece_per_class(
    truth: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.floating],
    classes: Sequence[str],
    bins: int = BINS,
) -> ClassScores:
    """Expected calibration error of each class against the rest; nan without predictions.

    Args:
        truth: N class codes.
        probabilities: N x C; nan leaves a prediction out for that class.
        classes: C names.
        bins: B.
    """
    values = []
    for code in range(len(classes)):
        known = ~np.isnan(probabilities[:, code])
        values.append(reliability(probabilities[known, code], truth[known] == code, bins).ece)
    return ClassScores(tuple(classes), tuple(values))
