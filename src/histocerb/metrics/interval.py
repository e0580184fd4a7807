"""Mean, spread and bootstrap interval of values measured on images.

Images of one patient are alike, so intervals come from drawing patients, and then as many images of each as
it has (two-stage bootstrap: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section
3.8).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.metrics.matching import Float, Int

_CHUNK = 1_000_000
"""Numbers that are held at a time."""

Patients = Sequence[Hashable] | Int
"""Whom each image is of: names or numbers; equal ones are one patient."""


@dataclass(frozen=True)
class Summary:
    """What a table says about a measure.

    Attributes:
        n: values that are defined; images, where the measure is one of all images together.
        mean: nan without any; the measure itself, where it is one of all images together.
        sd: sample standard deviation; nan below two values, and for a measure of all images together.
        low: lower end of the bootstrap interval of the mean; nan below two patients.
        high: upper end.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float


def bootstrap_interval(
    values: Sequence[float] | Float,
    patients: Patients,
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    Args:
        values: One per image; nan is left out.
        patients: One per image.
        seed: Same seed, same interval.
        level: Coverage.
        resamples: Means drawn with replacement.

    Returns:
        (low, high); nan twice with values of fewer than two patients.
    """
    numbers = np.asarray(values, np.float64)
    known = np.flatnonzero(~np.isnan(numbers)).tolist()
    defined = numbers[known]
    of_known = [patients[i] for i in known]
    means = [ratio(chunk @ defined, chunk.sum(axis=1)) for chunk in draws(of_known, seed, resamples)]
    return _ends(np.concatenate([np.zeros(0), *means]), level)


def summarise(values: Sequence[float] | Float, patients: Patients, seed: int = 0) -> Summary:
    """Mean, spread and 95 % interval of the values (one per image, each of a patient) that are not nan."""
    low, high = bootstrap_interval(values, patients, seed)
    defined = np.asarray(values, np.float64)
    defined = defined[~np.isnan(defined)]
    mean = float(defined.mean()) if len(defined) else float("nan")
    sd = float(defined.std(ddof=1)) if len(defined) > 1 else float("nan")
    return Summary(len(defined), mean, sd, low, high)


def draws(patients: Patients, seed: int, resamples: int) -> Iterator[Int]:
    """How often each of n images is there when patients, and then images of each, are drawn with replacement.

    Of P patients P are drawn, and of a patient as many images as it has.

    Returns:
        Chunks of some resamples x n; none below two patients.
    """
    code: dict[Hashable, int] = {}
    of_image = np.array([code.setdefault(patient, len(code)) for patient in patients], np.int64)
    rng, n, p = np.random.default_rng(seed), len(of_image), len(code)
    if p < 2:
        return
    by_patient, size = np.argsort(of_image, kind="stable"), np.bincount(of_image)
    start = np.cumsum(size) - size
    for first in range(0, resamples, rows := max(1, _CHUNK // n)):
        count = min(rows, resamples - first)
        drawn = rng.integers(0, p, (count, p))
        row = np.repeat(np.arange(count), size[drawn].sum(axis=1))
        patient = np.repeat(drawn.ravel(), size[drawn].ravel())
        image = by_patient[start[patient] + rng.integers(0, size[patient])]
        yield np.bincount(n * row + image, minlength=count * n).reshape(count, n)


def summarise_together(
    value: float, patients: Patients, measure: Callable[[Int], Float], seed: int = 0, resamples: int = 1000
) -> Summary:
    """A measure of n images together, with a percentile bootstrap 95 % interval over patients.

    Args:
        value: The measure.
        patients: One per image.
        measure: From R x n numbers, how often each image is there, to R values, nan where undefined.
        seed: Same seed, same interval.
        resamples: Sets of patients drawn with replacement; those without a measure are left out.
    """
    drawn = [measure(weight) for weight in draws(patients, seed, resamples)]
    low, high = _ends(np.concatenate([np.zeros(0), *drawn]), 0.95)
    return Summary(len(patients), value, float("nan"), low, high)


def ratio(over: npt.ArrayLike, under: npt.ArrayLike) -> Float:
    """Quotients, nan where there is nothing to divide by."""
    top, bottom = np.broadcast_arrays(np.asarray(over, np.float64), np.asarray(under, np.float64))
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0))


def defined_mean(values: Float) -> Float:
    """Means over the last axis of what is not nan; nan where all is."""
    is_known = ~np.isnan(values)
    return ratio(np.where(is_known, values, 0.0).sum(axis=-1), is_known.sum(axis=-1))


def _ends(values: Float, level: float) -> tuple[float, float]:
    defined = values[~np.isnan(values)]
    if len(defined) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
