"""Counts and densities of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from histocerb.core.tasks import TaskSpec

Counts = dict[str, dict[str, int]]
"""Per kind, objects per class; a kind without classes (lumina) stands under its own name."""

UNCLASSIFIED = "unclassified"
"""Under it stand objects without a class whose kind has classes."""


def count_objects(objects: pa.Table, spec: TaskSpec) -> Counts:
    """Objects per kind and class of an object table (any table with columns `kind` and `class`)."""
    untyped = {task.kind: untyped_name(task.kind, task.classes) for task in spec.objects}
    grouped = objects.select(["kind", "class"]).group_by(["kind", "class"]).aggregate([([], "count_all")])
    counts: Counts = {}
    for row in sorted(grouped.to_pylist(), key=lambda row: (row["kind"], row["class"] or "")):
        counts.setdefault(row["kind"], {})[row["class"] or untyped[row["kind"]]] = row["count_all"]
    return counts


def untyped_name(kind: str, classes: Sequence[str]) -> str:
    """Under which name `Counts` has objects without a class, of a kind that can have these."""
    return UNCLASSIFIED if classes else kind


def no_objects(spec: TaskSpec) -> Counts:
    """Zero for every kind and class of a spec."""
    return {task.kind: dict.fromkeys(task.classes or (task.kind,), 0) for task in spec.objects}


def add_counts(first: Counts, second: Counts) -> Counts:
    """Sum of two counts."""
    total = {kind: dict(of_kind) for kind, of_kind in first.items()}
    for kind, of_kind in second.items():
        into = total.setdefault(kind, {})
        for name, count in of_kind.items():
            into[name] = into.get(name, 0) + count
    return total


def densities(counts: Mapping[str, Mapping[str, int]], tissue_mm2: float) -> dict[str, dict[str, float]]:
    """Objects per square millimetre of tissue, per kind and class; 0 where there is no tissue."""
    per_mm2 = 1.0 / tissue_mm2 if tissue_mm2 > 0 else 0.0
    return {kind: {name: n * per_mm2 for name, n in of_kind.items()} for kind, of_kind in counts.items()}


def tissue_areas_mm2(tissue: pa.Table, slide_mpp: float) -> dict[str, float]:
    """Area per tissue class of a tissue table, in square millimetres; whole cells are counted."""
    names = np.array(pc.cast(tissue["class"], pa.string()).to_pylist(), dtype=object)
    cell_mm2 = (np.asarray(tissue["width"], np.float64) * slide_mpp / 1000.0) ** 2
    return {str(name): float(cell_mm2[names == name].sum()) for name in sorted(set(names))}
