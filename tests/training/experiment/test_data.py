from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from histocerb.core.errors import DataError, UsageError
from histocerb.data.convert import split_store
from histocerb.data.splits import SplitParams
from histocerb.data.store import Store
from histocerb.models.checkpoint import SPEC_FILE, WEIGHTS_FILE
from histocerb.training.experiment.data import check_split, check_training, has_changed, on_store
from histocerb.training.experiment.ledger import Status, run_folder, write_job
from histocerb.training.experiment.perform import perform
from histocerb.training.experiment.plan import Experiment, jobs
from histocerb.training.experiment.work import REAL
from histocerb.training.facts import run_facts, weights_facts

OUTSIDE = ("s9", "s10", "s11")


@pytest.fixture
def split(store: Store, tmp_path: Path) -> Store:
    """Two folds and an external test, to be split otherwise."""
    folder = tmp_path / "store"
    shutil.copytree(store.path, folder)
    split_store(folder, SplitParams(folds=2, external=OUTSIDE))
    return Store(folder)


@pytest.fixture
def found(experiment: Experiment, split: Store) -> Experiment:
    return on_store(replace(experiment, store=str(split.path), data={}))


def test_the_data_are_those_of_every_split(found: Experiment, split: Store) -> None:
    assert sorted(found.data) == ["external", "fold-1", "fold-2"]
    for name, held in found.data.items():
        part = Store(split.path, tuple(record for record in split.records if record.split == name))
        assert held == run_facts(part, 0)["data"]["fingerprint"]


def test_splits_that_are_trained_on_count_too(found: Experiment) -> None:
    one = on_store(replace(found, folds=("fold-1",), external=None))
    assert one.data == {split: held for split, held in found.data.items() if split != "external"}


def test_a_store_that_was_moved_has_not_changed(found: Experiment, split: Store, tmp_path: Path) -> None:
    assert not has_changed(found)
    moved = replace(found, store=str(shutil.move(split.path, tmp_path / "elsewhere")))
    assert not has_changed(moved)
    assert not has_changed(found), "there is no store to look at"
    assert [job.name for job in jobs(moved)] == [job.name for job in jobs(found)]


@pytest.mark.parametrize(
    "params",
    [SplitParams(folds=2, external=OUTSIDE, seed=3), SplitParams(folds=3, external=OUTSIDE), SplitParams()],
    ids=["other seed", "more folds", "no folds"],
)
def test_a_store_that_was_split_otherwise_has_changed(
    found: Experiment, split: Store, params: SplitParams
) -> None:
    split_store(split.path, params)
    assert has_changed(found)
    for job in jobs(found):
        with pytest.raises(DataError, match=r"expected the data in .* that the experiment began with"):
            check_training(job)


def test_no_run_begins_on_changed_data(found: Experiment, split: Store, tmp_path: Path) -> None:
    job = jobs(found)[0]
    check_training(job)
    folder = run_folder(tmp_path, job.name)
    write_job(folder, job)
    split_store(split.path, SplitParams(folds=3, external=OUTSIDE))
    state = perform(folder, "cpu", REAL)
    assert state.status is Status.FAILED
    assert state.reason == (
        f"expected the data in {split.path} that the experiment began with, found others; run it again"
    )
    assert not (folder / "train").exists()


def test_no_run_begins_with_changed_weights(found: Experiment, tmp_path: Path) -> None:
    """Those of the run before are not there when the experiment begins."""
    job, encoder = jobs(found)[0], tmp_path / "encoder.pth"
    job = replace(job, config=replace(job.config, encoder_weights=str(encoder)))
    check_training(job)
    encoder.write_bytes(b"weights")
    with pytest.raises(DataError, match=r"expected the weights that .* found others; run it again"):
        check_training(job)
    job = replace(job, weights=weights_facts(job.config))
    check_training(job)
    base = tmp_path / "model"
    base.mkdir()
    for name in (SPEC_FILE, WEIGHTS_FILE):
        (base / name).touch()
    job = replace(job, config=replace(job.config, start_from=str(base)))
    check_training(replace(job, after="base"))
    with pytest.raises(DataError, match="expected the weights"):
        check_training(job)


def test_the_external_test_is_checked_by_itself(found: Experiment, split: Store) -> None:
    """Fewer samples outside, in folds as before: as if some had been removed."""
    job = jobs(found)[0]
    left = tuple(record for record in split.records if record.patient != OUTSIDE[0])
    fewer = Store(split.path, left)
    check_split(job, "fold-1", fewer)
    with pytest.raises(DataError, match="that the experiment began with"):
        check_split(job, "external", fewer)
    assert "external" not in job.trained_on
    assert set(job.trained_on) == {"fold-1", "fold-2"}


def test_the_store_must_have_the_splits(found: Experiment, split: Store) -> None:
    split_store(split.path, SplitParams())
    with pytest.raises(
        UsageError, match=r"expected the splits fold-1, fold-2, external in .*found train, valid"
    ):
        on_store(found)


@pytest.mark.parametrize("folds", [("fold-1",), ("fold-1", "fold-2"), ("fold-2",)])
def test_the_external_test_is_not_trained_on(found: Experiment, folds: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"no run trains on, found 'fold-2', which .*data split --external"):
        on_store(replace(found, folds=folds, external="fold-2"))
