"""Mean and SD over folds, as in the paper's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from histocerb.metrics.figures import mean_of
from histocerb.training.evaluation.evaluate import ALL


def over_folds(documents: Sequence[Mapping[str, Any]], source: str = ALL) -> dict[str, dict[str, Any]]:
    """Every figure over several evaluations, one per fold.

    Args:
        documents: of `measure` or `evaluate`, in the order of the folds.
        source: whose summary is taken, default all sources together.

    Returns:
        {task: {figure: {"folds": values, "mean", "sd"}}}. Figures of nested tables have dots in their names
        (`types.mf1`, `per_class.epithelial.pq`). A fold without the figure has None and does not count; the
        SD is that of a sample, None below two values.
    """
    tables = [
        {task: dict(_flat(figures)) for task, figures in document["summary"].get(source, {}).items()}
        for document in documents
    ]
    names = {
        task: dict.fromkeys(f for table in tables for f in table.get(task, {}))
        for table in tables
        for task in table
    }
    return {
        task: {figure: _spread([table.get(task, {}).get(figure) for table in tables]) for figure in figures}
        for task, figures in names.items()
    }


def _flat(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float | None]]:
    """Figures with their values; lists (curves, confusion) have none."""
    for name, value in figures.items():
        if isinstance(value, Mapping) and not {"mean", "low", "high"} <= set(value):
            yield from _flat(value, f"{before}{name}.")
        elif not isinstance(value, list | str):
            yield f"{before}{name}", mean_of(value)


def _spread(values: list[float | None]) -> dict[str, Any]:
    defined = [value for value in values if value is not None]
    return {
        "folds": values,
        "mean": fmean(defined) if defined else None,
        "sd": stdev(defined) if len(defined) > 1 else None,
    }
