"""The data of an experiment: what its store holds in every split that it uses, and whether it still does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from histocerb.core.errors import DataError, UsageError
from histocerb.data.manifest import Record
from histocerb.data.splits import training_splits
from histocerb.data.store import Store
from histocerb.training.evaluation.measure import fingerprint
from histocerb.training.experiment.plan import Experiment, Job
from histocerb.training.facts import weights_facts


def on_store(experiment: Experiment) -> Experiment:
    """The experiment with its `data` as the store holds them now.

    Raises:
        DataError: there is no store.
        UsageError: it is split otherwise, or runs would train on the external test.
    """
    records = Store(Path(experiment.store)).records
    found = {record.split for record in records}
    wanted = [*experiment.folds, *([] if experiment.external is None else [experiment.external])]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UsageError(
            f"expected the splits {', '.join(wanted)} in {experiment.store}, found "
            f"{', '.join(sorted(found))}; split it with `histocerb data split`"
        )
    trained = {name for fold in experiment.folds for name in training_splits(records, fold)}
    if experiment.external in {*trained, *experiment.folds}:
        raise UsageError(
            f"expected as `external` a split of {experiment.store} that no run trains on, found "
            f"{experiment.external!r}, which runs train on; set test samples apart with "
            "`histocerb data split --external NAME`"
        )
    return replace(experiment, data=_held(records, {*trained, *wanted}))


def has_changed(experiment: Experiment) -> bool:
    """Whether the store holds other data than `experiment.data`; False where there is no store to look at."""
    try:
        return on_store(experiment).data != experiment.data
    except UsageError:
        return True
    except DataError:
        return False


def check_training(job: Job) -> None:
    """Whether the store has what a job is to be trained on and checked with, and the weights are the same.

    Raises:
        DataError: there is no store, or it has changed since the experiment began, or the weights have.
    """
    records = Store(Path(job.config.store)).records
    splits = {record.split for record in records}
    fold = job.config.validation.split
    if fold not in splits or _held(records, {fold, *training_splits(records, fold)}) != job.trained_on:
        raise _changed(job)
    config = job.config if job.after is None else replace(job.config, start_from=None)
    if weights_facts(config) != job.weights:
        raise DataError(
            f"expected the weights that the run {job.name} of the experiment began with, found others; "
            "run it again"
        )


def check_split(job: Job, split: str, store: Store) -> None:
    """Whether the store has in a split what a job is to be measured on.

    Raises:
        DataError: it has changed since the experiment began.
    """
    if _held(store.records, {split})[split] != job.data[split]:
        raise _changed(job)


def _held(records: Sequence[Record], splits: Iterable[str]) -> dict[str, str]:
    """Fingerprint of the samples of each split."""
    return {
        split: fingerprint([record for record in records if record.split == split])
        for split in sorted(splits)
    }


def _changed(job: Job) -> DataError:
    return DataError(
        f"expected the data in {job.config.store} that the experiment began with, found others; run it again"
    )
