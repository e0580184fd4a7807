"""What an experiment is, and the training runs that it takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from histocerb.core.config_file import STRICT
from histocerb.core.tasks import PRESETS
from histocerb.training.config import FREE, TrainConfig

Part = Literal["cross", "external"]
"""Cross validation: the fold that a run did not see. External: the same test samples for every fold."""

Spread = tuple[float, float]
"""Mean and SD over folds."""


TYPE_FIGURES = ("mpq", "mpq_plus", "r2", "types.accuracy", "types.mf1", "types.map")
"""Figures of tasks whose objects have classes, as evaluations name them."""

OBJECT_FIGURES = (
    *("dice", "pq", "dq", "sq", "aji", "object_f1", "object_dice", "object_hausdorff_um"),
    *TYPE_FIGURES,
    *("detection.froc", "detection.precision", "detection.recall", "detection.f1"),
)
"""Figures of tasks that find objects, with those of classes."""

PATCH_FIGURES = ("accuracy", "mf1", "map")
"""Figures of the task that classifies patches."""


@dataclass(frozen=True, config=STRICT)
class Column:
    """A figure of a table.

    Attributes:
        heading: above the column.
        part: what the figure is measured on.
        task: of which task.
        figure: one of `figures_of` the task; dots lead into nested tables of an evaluation.
    """

    heading: str
    part: Part
    task: str
    figure: str


@dataclass(frozen=True, config=STRICT)
class Section:
    """Columns that are printed side by side. A table has one section, or several below each other."""

    columns: tuple[Column, ...]
    title: str = ""


@dataclass(frozen=True, config=STRICT)
class Run:
    """One network of a row, trained once per fold.

    Attributes:
        config: how; name of the store and the held-out split are those of the experiment.
        start_from: name of the row from whose checkpoint (of the same fold) it begins.
        weights: sha256 of the files of weights that it begins with, by their keys of the configuration, see
            `facts.weights_facts`; without those of `start_from`.
    """

    config: TrainConfig
    start_from: str | None = None
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads that it trains."""
        return tuple(dict.fromkeys(name for stage in self.config.stages for name in stage.heads))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks of these heads: the columns that the run fills."""
        spec = PRESETS[self.config.tasks].only(self.heads)
        return tuple(task.name for task in spec.tasks)


@dataclass(frozen=True, config=STRICT)
class Row:
    """A line of a table.

    Attributes:
        name: unique.
        labels: what stands before the figures, one per heading in `Experiment.labels`.
        runs: networks whose figures make up the row; none: a model that is not ours, for reference.
        paper: the paper's figures, per section and column; () where there are none.
        shown: False: only there for other rows to start from.
    """

    name: str
    labels: tuple[str, ...]
    runs: tuple[Run, ...] = ()
    paper: tuple[tuple[Spread, ...], ...] = ()
    shown: bool = True


@dataclass(frozen=True, config=STRICT)
class Experiment:
    """A table and what it takes to fill it.

    Attributes:
        name: of its files.
        title: above the table.
        store: data store, relative to the working folder.
        folds: splits of the store; every run is trained once without each.
        labels: headings of the rows' labels.
        sections: the figures.
        rows: the networks.
        data: fingerprint of every split that is used, see `data.on_store`; {}: the store was not looked at.
        external: split of the external test, which no run trains on; None: there is none.
    """

    name: str
    title: str
    store: str
    folds: tuple[str, ...]
    labels: tuple[str, ...]
    sections: tuple[Section, ...]
    rows: tuple[Row, ...]
    data: Mapping[str, str]
    external: str | None = None


@dataclass(frozen=True, config=STRICT)
class Job:
    """A training run on all folds but one, and what it is then measured on.

    Attributes:
        name: of its folder: name of the configuration, fold, and a digest of all else that decides about the
            weights. Jobs whose configurations (their names too), folds and data are equal have equal names,
            in other experiments too.
        config: ready for `fit`, but for the checkpoint of `after`.
        splits: what to evaluate on, by part.
        data: fingerprint of every split that it is trained or evaluated on; see `Experiment`.
        heads: that are evaluated: all of the tasks that it trains.
        after: name of the job from whose checkpoint it begins.
        weights: see `Run`.
    """

    name: str
    config: TrainConfig
    splits: Mapping[Part, str]
    data: Mapping[str, str]
    heads: tuple[str, ...]
    after: str | None = None
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def trained_on(self) -> dict[str, str]:
        """`data` without the external test: what decides about the weights, and the fold held out."""
        return {split: held for split, held in self.data.items() if split != self.splits.get("external")}


JOB: TypeAdapter[Job] = TypeAdapter(Job)
EXPERIMENT: TypeAdapter[Experiment] = TypeAdapter(Experiment)

_FREE = FREE | {"name"}
"""Settings of a run that do not change its result. (What is in the store does; where it is does not.)"""


def figures_of(task: str) -> tuple[str, ...]:
    """Figures that a task of that name can have in an evaluation; () where no preset has such a task."""
    found = next((one for spec in PRESETS.values() for one in spec.tasks if one.name == task), None)
    if found is None:
        return ()
    if found.postproc is None:
        return PATCH_FIGURES
    return tuple(name for name in OBJECT_FIGURES if found.classes or name not in TYPE_FIGURES)


def jobs(experiment: Experiment, only: tuple[str, ...] = ()) -> tuple[Job, ...]:
    """The runs that fill the table, each once, none before the one that it starts from.

    Args:
        experiment: what to fill.
        only: names of the rows to fill; (): all that are shown.
    """
    wanted = [row for row in experiment.rows if (row.name in only if only else row.shown)]
    found: dict[str, Job] = {}
    for row in wanted:
        for run in row.runs:
            for fold in experiment.folds:
                for job in chain(experiment, run, fold):
                    found.setdefault(job.name, job)
    return tuple(found.values())


def chain(experiment: Experiment, run: Run, fold: str) -> tuple[Job, ...]:
    """The job of a run on a fold, after those that it starts from."""
    before: tuple[Job, ...] = ()
    if run.start_from is not None:
        base = next(row for row in experiment.rows if row.name == run.start_from)
        before = chain(experiment, base.runs[0], fold)
    return (*before, _job(experiment, run, fold, before[-1] if before else None))


def job_of(experiment: Experiment, row: Row, task: str, fold: str) -> Job | None:
    """The job that fills the columns of a task in a row, on a fold; None in a row for reference."""
    run = next((run for run in row.runs if task in run.tasks), None)
    return None if run is None else chain(experiment, run, fold)[-1]


def _job(experiment: Experiment, run: Run, fold: str, base: Job | None) -> Job:
    validation = replace(run.config.validation, split=fold)
    config = replace(run.config, store=experiment.store, validation=validation)
    if base is not None:
        config = replace(config, start_from=None)  # known when the run begins
    splits: dict[Part, str] = {"cross": fold}
    if experiment.external is not None:
        splits["external"] = experiment.external
    heads = run.heads
    if base is not None:
        kept = PRESETS[config.tasks].only({*base.heads, *heads})
        heads = tuple(head.name for task in kept.tasks if task.name in run.tasks for head in task.heads)
    after = None if base is None else base.name
    job = Job(config.name, config, splits, experiment.data, heads, after, run.weights)
    name = f"{config.name}.{fold}.{_digest(job)[:8]}"
    return replace(job, name=name, config=replace(config, name=name))


def _digest(job: Job) -> str:
    """Of all that decides about the weights; keys at their default are left out: there may be new ones."""
    document: dict[str, Any] = TypeAdapter(TrainConfig).dump_python(
        job.config, mode="json", exclude_defaults=True
    )
    decisive = {key: value for key, value in document.items() if key not in _FREE}
    decisive |= job.weights  # what is in these files, in place of where they are
    text = json.dumps([decisive, job.trained_on, job.after], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
