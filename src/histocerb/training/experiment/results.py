"""The figures of a table, gathered from the evaluations that there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histocerb.core.errors import OutputError
from histocerb.training.evaluation import over_folds
from histocerb.training.experiment.ledger import document_file, run_folder
from histocerb.training.experiment.plan import Column, Experiment, Row, Spread, job_of


@dataclass(frozen=True)
class Cell:
    """What a row says in a column.

    Attributes:
        column: which.
        values: per fold that was evaluated; None where the figure is undefined.
        missing: folds without an evaluation.
        mean: over the folds that have a value; None without any.
        sd: over folds; None with fewer than two.
        paper: mean and SD of the paper, None where it has none.
    """

    column: Column
    values: Mapping[str, float | None]
    missing: tuple[str, ...]
    mean: float | None
    sd: float | None
    paper: Spread | None

    @property
    def n(self) -> int:
        """Folds that have a value."""
        return sum(value is not None for value in self.values.values())


@dataclass(frozen=True)
class Line:
    """A row with its cells, per section of the table."""

    row: Row
    cells: tuple[tuple[Cell, ...], ...]


def gather(experiment: Experiment, out: Path) -> tuple[Line, ...]:
    """The lines of a table, in order; `out` is the folder of the ledger.

    Raises:
        OutputError: an evaluation is damaged.
    """
    return tuple(_line(experiment, row, out) for row in experiment.rows if row.shown)


def _line(experiment: Experiment, row: Row, out: Path) -> Line:
    cells = []
    for number, section in enumerate(experiment.sections):
        paper = row.paper[number] if row.paper else (None,) * len(section.columns)
        columns = zip(section.columns, paper, strict=True)
        cells.append(tuple(_cell(experiment, row, column, figure, out) for column, figure in columns))
    return Line(row, tuple(cells))


def _cell(experiment: Experiment, row: Row, column: Column, paper: Spread | None, out: Path) -> Cell:
    found = _documents(experiment, row, column, out)
    missing = tuple(fold for fold in experiment.folds if fold not in found) if row.runs else ()
    if not found:
        return Cell(column, {}, missing, None, None, paper)
    figures = over_folds(list(found.values())).get(column.task, {})
    figure = figures.get(column.figure, {"folds": [None] * len(found), "mean": None, "sd": None})
    values = dict(zip(found, figure["folds"], strict=True))
    return Cell(column, values, missing, figure["mean"], figure["sd"], paper)


def _documents(experiment: Experiment, row: Row, column: Column, out: Path) -> dict[str, Any]:
    found = {}
    for fold in experiment.folds:
        job = job_of(experiment, row, column.task, fold)
        if job is None:
            continue
        path = document_file(run_folder(out, job.name), job, job.splits[column.part])
        if path.is_file():
            found[fold] = _read(path)
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"expected an evaluation, found something else in {path}; remove it") from error
