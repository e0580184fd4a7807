"""A table in the paper's layout, our figures above the paper's: Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from histocerb._version import __version__
from histocerb.training.evaluation.markdown import escaped
from histocerb.training.experiment.ledger import State, Status
from histocerb.training.experiment.plan import Experiment, Section
from histocerb.training.experiment.results import Cell, Line

OURS, PAPER = "ours", "paper"


def markdown(experiment: Experiment, lines: Sequence[Line], states: Mapping[str, State]) -> str:
    """The table as text; runs that are not done are named below it."""
    parts = [f"## {experiment.title}"]
    for number, section in enumerate(experiment.sections):
        parts += [f"**{section.title}**"] if section.title else []
        parts.append(_grid(_header(experiment, section), _rows(lines, number, len(experiment.folds))))
    parts.append(_legend(experiment))
    open_runs = [_open_run(name, state) for name, state in states.items() if state.status is not Status.DONE]
    parts += ["Missing runs:", "\n".join(open_runs)] if open_runs else []
    return "\n\n".join(parts) + "\n"


def comma_separated(experiment: Experiment, lines: Sequence[Line]) -> str:
    """One line per cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    about = ["row", *experiment.labels, "section", "part", "task", "figure"]
    writer.writerow([*about, "folds", "mean", "sd", "paper_mean", "paper_sd", *experiment.folds])
    for line in lines:
        for section, cells in zip(experiment.sections, line.cells, strict=True):
            for cell in cells:
                column = cell.column
                place = [
                    line.row.name,
                    *line.row.labels,
                    section.title,
                    column.part,
                    column.task,
                    column.figure,
                ]
                figures = [cell.n, cell.mean, cell.sd, *(cell.paper or (None, None))]
                writer.writerow([*place, *figures, *(cell.values.get(fold) for fold in experiment.folds)])
    return text.getvalue()


def document(experiment: Experiment, lines: Sequence[Line], states: Mapping[str, State]) -> dict[str, Any]:
    """The table for JSON."""
    return {
        "histocerb": __version__,
        "experiment": experiment.name,
        "title": experiment.title,
        "store": experiment.store,
        "data": dict(experiment.data),
        "folds": list(experiment.folds),
        "rows": [
            {
                "name": line.row.name,
                "labels": dict(zip(experiment.labels, line.row.labels, strict=True)),
                "reference": not line.row.runs,
                "cells": [_entry(section, cell) for section, cell in _cells(experiment, line)],
            }
            for line in lines
        ],
        "runs": {name: {"status": state.status, "reason": state.reason} for name, state in states.items()},
    }


def _cells(experiment: Experiment, line: Line) -> list[tuple[Section, Cell]]:
    pairs = zip(experiment.sections, line.cells, strict=True)
    return [(section, cell) for section, cells in pairs for cell in cells]


def _entry(section: Section, cell: Cell) -> dict[str, Any]:
    column = cell.column
    return {
        "section": section.title,
        "heading": column.heading,
        "part": column.part,
        "task": column.task,
        "figure": column.figure,
        "ours": {"n": cell.n, "mean": cell.mean, "sd": cell.sd, "folds": dict(cell.values)},
        "missing": list(cell.missing),
        "paper": None if cell.paper is None else {"mean": cell.paper[0], "sd": cell.paper[1]},
    }


def _header(experiment: Experiment, section: Section) -> list[str]:
    return [*experiment.labels, "", *(column.heading for column in section.columns)]


def _rows(lines: Sequence[Line], section: int, folds: int) -> list[list[str]]:
    rows = []
    for line in lines:
        labels, cells = list(line.row.labels), line.cells[section]
        if line.row.runs:
            rows.append([*labels, OURS, *(_ours(cell, folds) for cell in cells)])
            labels = [""] * len(labels)
        if line.row.paper:
            rows.append([*labels, PAPER, *(_spread(cell.paper) for cell in cells)])
    return rows


def _ours(cell: Cell, folds: int) -> str:
    if cell.mean is None:
        return "missing" if cell.missing else "undefined"
    text = f"{cell.mean:.3f}" if cell.sd is None else _spread((cell.mean, cell.sd))
    return text if cell.n == folds else f"{text} ({cell.n} of {folds})"


def _spread(figure: tuple[float, float] | None) -> str:
    return "" if figure is None else f"{figure[0]:.3f} ± {figure[1]:.3f}"


def _legend(experiment: Experiment) -> str:
    number = len(experiment.folds)
    over = f"mean ± SD over {number} folds" if number > 1 else "one fold"
    text = f"{OURS}: {over} of {experiment.store}."
    if any(row.paper for row in experiment.rows):
        text += f" {PAPER}: as printed there, over its own three folds."
    if any(not row.runs for row in experiment.rows):
        text += f" A model without a line of {OURS} is there for reference."
    return text


def _open_run(name: str, state: State) -> str:
    return f"- {name}: {state.status}{f' ({state.reason})' if state.reason else ''}"


def _grid(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns are aligned as text too."""
    header, rows = [escaped(cell) for cell in header], [[escaped(cell) for cell in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    bar = ["-" * width for width in widths]
    return "\n".join(_grid_line(row, widths) for row in (header, bar, *rows))


def _grid_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
