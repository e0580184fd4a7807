"""Figures as JSON has them: what is undefined or infinite is None."""

from __future__ import annotations

import math
from collections.abc import Mapping

from histocerb.metrics.interval import Summary
from histocerb.metrics.segmentation import ClassScores

Json = dict[str, object]


def number(value: float) -> float | None:
    """The value, None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def summary(found: Summary) -> Json:
    """`n`, `mean`, `sd`, `low` and `high`."""
    numbers = {"mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high}
    return {"n": found.n, **{key: number(value) for key, value in numbers.items()}}


def per_class(scores: ClassScores) -> dict[str, float | None]:
    """One value per class."""
    return {name: number(value) for name, value in zip(scores.classes, scores.values, strict=True)}


def mean_of(figure: object) -> float | None:
    """The value of a figure, which is a summary or a plain number; None where it is undefined."""
    value = figure.get("mean") if isinstance(figure, Mapping) else figure
    return float(value) if isinstance(value, int | float) else None
