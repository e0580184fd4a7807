"""How little can be trusted where: what the model itself doubts, and where its heads contradict each other.

Every term is a mean over things of one sort (nuclei, glands, tissue), never a sum, and lies in 0..1:

- *outline*, per kind of object: 1 - `score`, the doubt about the pixels of an object;
- *class*, per kind with classes: 1 - `class_prob`, the share of pixels that are of another class;
- *tissue*: entropy of the probabilities of tissue classes over that of pure guessing;
- *stray*: lining nuclei (epithelial) outside glands and in tissue that is not epithelium, of all such nuclei.
  Connective and inflammatory nuclei inside glands are normal and do not count;
- *spilt*: lumina without a gland, which are left where a gland was too small to be kept;
- *misplaced*: glands in tissue that holds none (background, muscle, adipose);
- *unlined*: glands without a single epithelial nucleus.

Things are counted at their centroid, in the bins of a grid over the slide; work is linear in their number.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from histocerb.analysis.objects import Scale, container_column
from histocerb.analysis.tissue import prob_column
from histocerb.core.agreement import AGREEMENTS
from histocerb.core.tasks import CELL_PX, TaskSpec

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Weights:
    """Weight of each sort of term in a score; 0 leaves it out. See the module for what they are."""

    outline: float = 1.0
    object_class: float = 1.0
    tissue: float = 1.0
    stray: float = 1.0
    spilt: float = 1.0
    misplaced: float = 1.0
    unlined: float = 1.0


@dataclass(frozen=True)
class Bins:
    """A grid over a slide, in working pixels.

    Attributes:
        width_px, height_px: of a bin.
        columns, rows: whole bins that fit into the slide.
        scale: from level-0 pixels of tables to working pixels.
    """

    width_px: float
    height_px: float
    columns: int
    rows: int
    scale: Scale

    def sums(self, x: Float, y: Float, values: Float) -> Float:
        """Rows x columns: sum of the values whose points (level-0 pixels) lie in a bin."""
        column = np.floor(x / self.scale.factor / self.width_px).astype(np.int64)
        row = np.floor(y / self.scale.factor / self.height_px).astype(np.int64)
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        place = (row * self.columns + column)[inside]
        sums = np.bincount(place, weights=values[inside], minlength=self.rows * self.columns)
        return sums.reshape(self.rows, self.columns).astype(np.float64)

    def cells(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Row per row of bins, and column per column of bins, of the tissue cell in which a centre lies."""
        rows = (np.arange(self.rows) + 0.5) * self.height_px
        columns = (np.arange(self.columns) + 0.5) * self.width_px
        return (rows // CELL_PX).astype(np.int64), (columns // CELL_PX).astype(np.int64)


@dataclass(frozen=True)
class Term:
    """One reason for doubt.

    Attributes:
        words: what it is, for people.
        weight: in a score.
        total: rows x columns, sum of the values of a bin.
        count: rows x columns, number of values.
    """

    words: str
    weight: float
    total: Float
    count: Float


def terms(objects: pa.Table, tissue: pa.Table, bins: Bins, spec: TaskSpec, weights: Weights) -> list[Term]:
    """The terms of a slide, those without weight or without anything to look at left out.

    Args:
        objects: rows of `objects.parquet`; the geometry is not needed.
        tissue: rows of `tissue.parquet`.
        bins: the grid.
        spec: tasks of the model.
        weights: of the terms.
    """
    found = [*_own_doubt(objects, bins, spec, weights), _tissue_doubt(tissue, bins, spec, weights)]
    if spec.name in AGREEMENTS:
        found += _contradictions(objects, bins, spec, weights)
    return [term for term in found if term is not None and term.weight > 0 and term.count.any()]


def tissue_share(tissue: pa.Table, bins: Bins, spec: TaskSpec) -> Float:
    """Rows x columns: 1 where the tissue class of a bin's centre is one that can be annotated, else 0."""
    agreement = AGREEMENTS.get(spec.name)
    empty = agreement.empty_tissue if agreement else ()
    return _sampled(tissue, bins, (~_is(tissue, "class", empty)).astype(np.float64))


def _own_doubt(objects: pa.Table, bins: Bins, spec: TaskSpec, weights: Weights) -> list[Term]:
    found = []
    for task in spec.objects:
        of_kind = _is(objects, "kind", (task.kind,))
        outline = f"{task.kind} outlines are unsure"
        found.append(_mean(outline, weights.outline, bins, objects, of_kind, 1.0 - _floats(objects, "score")))
        if task.classes:
            doubt = 1.0 - _floats(objects, "class_prob")
            words = f"{task.kind} classes are mixed"
            found.append(_mean(words, weights.object_class, bins, objects, of_kind, doubt))
    return found


def _tissue_doubt(tissue: pa.Table, bins: Bins, spec: TaskSpec, weights: Weights) -> Term | None:
    if spec.patch is None:
        return None
    names = spec.patch.classes
    p = np.stack([_floats(tissue, prob_column(name)) for name in names], axis=1)
    entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1) / np.log(len(names))
    total, count = _sampled(tissue, bins, np.clip(entropy, 0.0, 1.0)), tissue_share(tissue, bins, spec)
    return Term("tissue classes are unsure", weights.tissue, total * count, count)


def _contradictions(objects: pa.Table, bins: Bins, spec: TaskSpec, weights: Weights) -> list[Term]:
    rules = AGREEMENTS[spec.name]
    held = container_column(spec)
    if held is None:
        return []
    kind, inner = spec.task(rules.container).kind, spec.task(rules.content).kind
    container, content = _is(objects, "kind", (kind,)), _is(objects, "kind", (inner,))
    outside = np.asarray(pc.is_null(objects[held]).to_numpy(), np.bool_)
    misplaced = _is(objects, "tissue", rules.bare_tissue)
    found = [
        _mean(f"{inner} without {kind}", weights.spilt, bins, objects, content, outside),
        _mean(f"{kind} in tissue that has none", weights.misplaced, bins, objects, container, misplaced),
    ]
    lining = next((task for task in spec.objects if task.name == rules.lining), None)
    if lining is None or not set(rules.lining_classes) <= set(lining.classes):
        return found  # no head tells them
    cells = f"{' or '.join(rules.lining_classes)} {lining.kind}"
    are_lining = _is(objects, "kind", (lining.kind,)) & _is(objects, "class", rules.lining_classes)
    elsewhere = outside & ~_is(objects, "tissue", rules.lined_tissue)
    inhabited = np.unique(pc.drop_null(objects[held].filter(pa.array(are_lining))).to_numpy())
    unlined = ~np.isin(objects["object_id"].to_numpy(), inhabited)
    return [
        *found,
        _mean(f"{cells} outside {kind} and epithelium", weights.stray, bins, objects, are_lining, elsewhere),
        _mean(f"{kind} without {cells}", weights.unlined, bins, objects, container, unlined),
    ]


def _mean(
    words: str, weight: float, bins: Bins, objects: pa.Table, among: Bool, values: npt.NDArray[Any]
) -> Term:
    """The term of the rows `among`; rows without a finite value do not count."""
    chosen = among & np.isfinite(values)
    x, y = (_floats(objects, axis)[chosen] for axis in ("x", "y"))
    total = bins.sums(x, y, np.clip(values[chosen].astype(np.float64), 0.0, 1.0))
    return Term(words, weight, total, bins.sums(x, y, np.ones(len(x))))


def _sampled(tissue: pa.Table, bins: Bins, values: Float) -> Float:
    """Rows x columns: value of the cell in which the centre of a bin lies; 0 where it was not predicted."""
    row_of, column_of = bins.cells()
    grid = np.zeros((int(row_of[-1]) + 1, int(column_of[-1]) + 1))
    row, column = (np.asarray(tissue[name], np.int64) for name in ("row", "column"))
    inside = (row < grid.shape[0]) & (column < grid.shape[1])
    grid[row[inside], column[inside]] = values[inside]
    sampled: Float = grid[row_of[:, None], column_of[None, :]]
    return sampled


def _is(rows: pa.Table, column: str, words: Collection[str]) -> Bool:
    """Which rows have one of these words; False for null."""
    found = pc.is_in(pc.cast(rows[column], pa.string()), pa.array(list(words), pa.string()))
    return np.array(found.to_numpy(), np.bool_)


def _floats(rows: pa.Table, column: str) -> Float:
    """NaN for null."""
    return np.asarray(rows[column].to_numpy(), np.float64)
