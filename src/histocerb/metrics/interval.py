"""Mean, spread and bootstrap interval of values measured on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Summary:
    """What a table says about a measure.

    Attributes:
        n: values that are defined.
        mean: nan without any.
        sd: sample standard deviation; nan below two values.
        low: lower end of the bootstrap interval of the mean.
        high: upper end.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float


def bootstrap_interval(
    values: Sequence[float] | npt.NDArray[np.floating], seed: int, level: float = 0.95, resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    Args:
        values: One per image (or patient); nan is left out.
        seed: Same seed, same interval.
        level: Coverage.
        resamples: Means drawn with replacement.

    Returns:
        (low, high); nan twice without a value.
    """
    defined = np.asarray(values, np.float64)
    defined = defined[~np.isnan(defined)]
    if len(defined) == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = [defined[rng.integers(0, len(defined), len(defined))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarise(values: Sequence[float] | npt.NDArray[np.floating], seed: int = 0) -> Summary:
    """Mean, spread and 95 % interval of the values that are not nan."""
    defined = np.asarray(values, np.float64)
    defined = defined[~np.isnan(defined)]
    low, high = bootstrap_interval(defined, seed)
    mean = float(defined.mean()) if len(defined) else float("nan")
    sd = float(defined.std(ddof=1)) if len(defined) > 1 else float("nan")
    return Summary(len(defined), mean, sd, low, high)
