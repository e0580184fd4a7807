"""Two models on the same images: differences, their intervals, and whether chance explains them.

Images of one patient are alike, so patients are what is drawn and tested.

Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1945; Holm, "A simple sequentially
rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from histocerb.metrics.interval import Patients, bootstrap_interval

_ROUNDING = 1e-9
"""Differences up to it are those of arithmetic, not of models."""

_FEW = 13
"""So many signs are tried in all combinations."""


@dataclass(frozen=True)
class Paired:
    """A measure of two models on the images on which both have it.

    Attributes:
        n: such images.
        patients: whom these are of.
        left_out: images on which one of the two has no (or an infinite) value.
        first: mean of the first model; nan without an image.
        second: mean of the second.
        low: lower end of the bootstrap 95 % interval of the mean of second minus first; nan below two
            patients.
        high: upper end.
        p: two-sided p-value of the Wilcoxon signed-rank test on the mean difference of each patient; 1
            where none differs, nan without images.
        rank_sum: of that test, ranks of patients for whom the second model is higher, minus those of the
            others: whom a small p favours, which the mean over images may contradict; nan without images.
    """

    n: int
    patients: int
    left_out: int
    first: float
    second: float
    low: float
    high: float
    p: float
    rank_sum: float

    @property
    def difference(self) -> float:
        """Mean of second minus first."""
        return self.second - self.first


def paired(first: Sequence[float], second: Sequence[float], patients: Patients, seed: int = 0) -> Paired:
    """Compare two models image by image.

    Args:
        first: One value per image; nan or infinite where undefined.
        second: Of the same images.
        patients: One per image.
        seed: Of the interval.

    Raises:
        ValueError: The lengths differ.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not len(a) == len(b) == len(patients):
        raise ValueError(f"expected values of the same images, found {len(a)}, {len(b)} and {len(patients)}")
    both = np.isfinite(a) & np.isfinite(b)
    neither = np.isnan(a) & np.isnan(b)
    left_out = int(np.count_nonzero(~both & ~neither))
    if not both.any():
        nan = float("nan")
        return Paired(0, 0, left_out, nan, nan, nan, nan, nan, nan)
    a, b = a[both], b[both]
    of_both = [patient for patient, has_both in zip(patients, both, strict=True) if has_both]
    of_patient: dict[Hashable, list[float]] = {}
    for patient, value in zip(of_both, b - a, strict=True):
        of_patient.setdefault(patient, []).append(value)
    means = np.array([np.mean(values) for values in of_patient.values()])
    low, high = bootstrap_interval(b - a, of_both, seed)
    return Paired(
        len(a),
        len(of_patient),
        left_out,
        float(a.mean()),
        float(b.mean()),
        low,
        high,
        signed_rank(means),
        _rank_sum(means),
    )


def signed_rank(difference: npt.NDArray[np.float64]) -> float:
    """Two-sided p-value of the Wilcoxon signed-rank test; differences of 0 are left out.

    Exact up to 50 of them, or up to 13 where some differ by the same amount; else the normal approximation.
    """
    nonzero = difference[np.abs(difference) > _ROUNDING]
    if len(nonzero) == 0:
        return 1.0
    if len(nonzero) <= _FEW:
        return _exact(stats.rankdata(np.abs(nonzero)), nonzero > 0)
    has_ties = len(np.unique(np.abs(nonzero))) < len(nonzero)
    method = "exact" if len(nonzero) <= 50 and not has_ties else "approx"
    return float(stats.wilcoxon(nonzero, method=method).pvalue)


def _rank_sum(difference: npt.NDArray[np.float64]) -> float:
    """Sum of the ranks of positive differences minus that of negative ones; differences of 0 are left out."""
    nonzero = difference[np.abs(difference) > _ROUNDING]
    return float(np.sign(nonzero) @ stats.rankdata(np.abs(nonzero)))


def _exact(ranks: npt.NDArray[np.float64], is_positive: npt.NDArray[np.bool_]) -> float:
    """From all ways in which the signs could have fallen."""
    signs = np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks)) & 1
    sums, found = signs @ ranks, is_positive @ ranks
    share = min(np.mean(sums >= found - _ROUNDING), np.mean(sums <= found + _ROUNDING))
    return min(1.0, 2 * float(share))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of a family of tests: below 0.05, the chance of any false alarm is below 5 %.

    nan stays nan and does not count as a test.
    """
    values = np.asarray(p_values, np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = values.copy()
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return [float(value) for value in adjusted]
