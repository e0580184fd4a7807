"""Experiments as TOML files: rows as changes to training configurations that are files themselves."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from histocerb.core.config_file import STRICT, merged, read_config, read_document, validated
from histocerb.core.errors import UsageError
from histocerb.core.tasks import PRESETS
from histocerb.training.config import TrainConfig
from histocerb.training.experiment.plan import Experiment, Row, Run, Section, Spread, figures_of
from histocerb.training.facts import weights_facts

ROW = "row:"
_FILE_NAME = re.compile(r"[\w+-][\w+. -]*")


@dataclass(frozen=True, config=STRICT)
class RunEntry:
    """A run as the file has it.

    Attributes:
        config: training configuration, a file beside the experiment; default: that of the experiment.
        change: keys laid over it.
        start_from: `row:NAME`: begin with the checkpoint of that row's run on the same fold.
    """

    config: str | None = None
    change: dict[str, Any] = field(default_factory=dict)
    start_from: str | None = None


@dataclass(frozen=True, config=STRICT)
class RowEntry:
    """A row as the file has it; see `plan.Row`."""

    name: str
    labels: tuple[str, ...]
    runs: tuple[RunEntry, ...] = ()
    paper: tuple[tuple[Spread, ...], ...] = ()
    shown: bool = True


@dataclass(frozen=True, config=STRICT)
class ExperimentEntry:
    """An experiment as the file has it; see `plan.Experiment`.

    Attributes:
        base: training configuration, a file beside the experiment, that rows use unless they name another.
        change: keys laid over the configuration of every run, before its own.
    """

    name: str
    title: str
    store: str
    base: str
    folds: tuple[str, ...]
    labels: tuple[str, ...]
    sections: tuple[Section, ...]
    rows: tuple[RowEntry, ...]
    external: str | None = None
    change: dict[str, Any] = field(default_factory=dict)


def read_experiment(path: Path) -> Experiment:
    """The experiment in a TOML file, every run resolved; its store is not looked at (see `data.on_store`).

    Raises:
        UsageError: naming the key or the row that is wrong.
    """
    entry = read_config(path, ExperimentEntry)
    rows = tuple(
        Row(
            row.name, row.labels, tuple(_run(path, entry, row, run) for run in row.runs), row.paper, row.shown
        )
        for row in entry.rows
    )
    experiment = Experiment(
        name=entry.name,
        title=entry.title,
        store=entry.store,
        folds=entry.folds,
        labels=entry.labels,
        sections=entry.sections,
        rows=rows,
        data={},
        external=entry.external,
    )
    check(experiment, str(path))
    return experiment


def check(experiment: Experiment, where: str) -> None:
    """Whether every row can be filled.

    Raises:
        UsageError: naming what is wrong; `where` is what it calls the experiment.
    """
    problem = _problem(experiment)
    if problem:
        raise UsageError(f"{where}: {problem}")


def _run(path: Path, entry: ExperimentEntry, row: RowEntry, run: RunEntry) -> Run:
    file = path.parent / (run.config or entry.base)
    document = merged(merged(read_document(file), entry.change), run.change)
    config = validated(document, TrainConfig, f"{path}, row {row.name!r} ({file.name} with its changes)")
    if config.tasks not in PRESETS:
        raise UsageError(f"{file}: there is no task preset {config.tasks!r}; known are {', '.join(PRESETS)}")
    if run.start_from is None:
        return Run(config, weights=weights_facts(config))
    if not run.start_from.startswith(ROW):
        raise UsageError(
            f"{path}, row {row.name!r}: expected start_from = 'row:NAME', found {run.start_from!r}; "
            "a checkpoint folder belongs into change.start_from"
        )
    weights = weights_facts(replace(config, start_from=None))
    return Run(config, run.start_from.removeprefix(ROW), weights)


def _problem(experiment: Experiment) -> str | None:
    return (
        _names_problem(experiment)
        or _splits_problem(experiment)
        or _columns_problem(experiment)
        or _rows_problem(experiment)
    )


def _names_problem(experiment: Experiment) -> str | None:
    configs = [run.config.name for row in experiment.rows for run in row.runs]
    for name in (experiment.name, *configs):
        if not _FILE_NAME.fullmatch(name):
            return (
                "expected names of letters, digits, spaces and any of -_+. (files are called so), "
                f"found {name!r}; rename it"
            )
    return None


def _splits_problem(experiment: Experiment) -> str | None:
    if not experiment.folds:
        return "expected at least one fold, found none; name splits of the store"
    repeated = _repeated(experiment.folds)
    if repeated is not None:
        return f"expected each fold once, found {repeated!r} twice; remove one"
    if experiment.external in experiment.folds:
        return (
            f"expected as `external` a split that no run trains on, found {experiment.external!r}, "
            "which is one of the folds; remove it from one of them"
        )
    return None


def _columns_problem(experiment: Experiment) -> str | None:
    if not experiment.sections or not all(section.columns for section in experiment.sections):
        return "expected at least one column in every section, found none; add `columns` to [[sections]]"
    columns = [column for section in experiment.sections for column in section.columns]
    if experiment.external is None and any(column.part == "external" for column in columns):
        return "a column is of the external test, but `external` names no split; add it"
    for column in columns:
        known = figures_of(column.task)
        if known and column.figure not in known:
            near = difflib.get_close_matches(column.figure, known, n=1, cutoff=0.0)
            return f"there is no figure {column.figure!r} of {column.task!r}; did you mean {near[0]!r}?"
    return None


def _rows_problem(experiment: Experiment) -> str | None:
    repeated = _repeated(row.name for row in experiment.rows)
    if repeated is not None:
        return f"two rows are called {repeated!r}; rename one"
    if not any(row.runs and row.shown for row in experiment.rows):
        return "expected at least one row to train, found none; add `runs` to one of [[rows]]"
    usable: set[str] = set()
    for row in experiment.rows:
        problem = _row_problem(experiment, row, usable)
        if problem:
            return f"row {row.name!r} {problem}"
        if len(row.runs) == 1:
            usable.add(row.name)
    return None


def _repeated(names: Iterable[str]) -> str | None:
    return next((name for name, number in Counter(names).items() if number > 1), None)


def _row_problem(experiment: Experiment, row: Row, usable: set[str]) -> str | None:
    if len(row.labels) != len(experiment.labels):
        return (
            f"needs {len(experiment.labels)} labels ({', '.join(experiment.labels)}), has {len(row.labels)}"
        )
    expected = [len(section.columns) for section in experiment.sections]
    found = [len(figures) for figures in row.paper]
    if row.paper and found != expected:
        return f"has {found} of the paper's figures per section, the sections have {expected} columns"
    for run in row.runs:
        if run.start_from is not None and run.start_from not in usable:
            return f"starts from {run.start_from!r}; expected an earlier row of one run"
    if not row.runs or not row.shown:
        return None
    filled = Counter(task for run in row.runs for task in run.tasks)
    for section in experiment.sections:
        for column in section.columns:
            if filled[column.task] != 1:
                return f"has {filled[column.task]} runs that train {column.task!r}; expected exactly one"
    return None
