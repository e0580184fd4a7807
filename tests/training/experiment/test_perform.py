from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from histocerb.core.errors import OutputError, UsageError
from histocerb.training.experiment.ledger import (
    State,
    Status,
    document_file,
    is_done,
    read_job,
    read_state,
    run_folder,
    write_job,
    write_state,
)
from histocerb.training.experiment.perform import perform
from histocerb.training.experiment.plan import Experiment, Job, jobs


@pytest.fixture
def job(experiment: Experiment) -> Job:
    return jobs(experiment)[0]


@pytest.fixture
def folder(job: Job, tmp_path: Path) -> Path:
    path = run_folder(tmp_path, job.name)
    write_job(path, job)
    return path


def test_a_run_is_trained_then_evaluated_on_every_split(folder, job, fake) -> None:
    assert read_state(folder) == State()
    state = perform(folder, "cpu", fake.work)
    assert state == read_state(folder)
    assert (state.status, state.device, state.trained, state.reason) == (Status.DONE, "cpu", True, "")
    assert fake.trained == [(job.name, "cpu", None)]
    assert fake.evaluated == [(job.name, "fold-1"), (job.name, "external")]
    assert (
        json.loads(document_file(folder, job, "external").read_text())["summary"]["all"]["gland"]["pq"][
            "mean"
        ]
        == 0.4
    )
    assert is_done(folder, job)
    assert read_job(folder) == job


def test_what_is_done_is_not_done_again(folder, job, fake) -> None:
    perform(folder, "cpu", fake.work)
    document_file(folder, job, "external").unlink()
    assert not is_done(folder, job)
    perform(folder, "cpu", fake.work)
    assert len(fake.trained) == 1
    assert fake.evaluated == [(job.name, "fold-1"), (job.name, "external"), (job.name, "external")]


def test_an_evaluation_on_other_samples_is_none(folder, job, fake) -> None:
    perform(folder, "cpu", fake.work)
    other = replace(job, data={**job.data, "external": "f" * 64})
    assert not is_done(folder, other)
    write_job(folder, other)
    perform(folder, "cpu", fake.work)
    assert is_done(folder, other)
    assert is_done(folder, job)
    assert len(fake.trained) == 1
    assert fake.evaluated == [(job.name, "fold-1"), (job.name, "external"), (job.name, "external")]


def test_another_experiment_may_ask_for_more_splits(folder, job, fake) -> None:
    write_job(folder, replace(job, splits={"cross": "fold-1"}))
    perform(folder, "cpu", fake.work)
    assert not is_done(folder, job)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UsageError("expected A, found B"), "expected A, found B"),
        (ValueError("bad\n value"), "ValueError: bad value"),
        (MemoryError(), "MemoryError: MemoryError"),
    ],
)
def test_a_failure_has_a_reason(folder, job, faulty, fake, error: Exception, reason: str) -> None:
    state = perform(folder, "cpu", faulty(job.name, error).work)
    assert (state.status, state.reason, state.trained) == (Status.FAILED, reason, False)
    assert read_state(folder) == state
    assert perform(folder, "cpu", fake.work).status is Status.DONE


def test_an_interruption_leaves_the_run_as_running(folder, job, faulty) -> None:
    work = faulty(job.name, KeyboardInterrupt()).work  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        perform(folder, "cpu", work)
    assert read_state(folder).status is Status.RUNNING


def test_a_run_begins_with_the_checkpoint_of_the_one_before(experiment, tmp_path: Path, fake) -> None:
    base, later = jobs(experiment, ("later",))[:2]
    for job in (base, later):
        write_job(run_folder(tmp_path, job.name), job)
        perform(run_folder(tmp_path, job.name), "cpu", fake.work)
    expected = tmp_path / "runs" / base.name / "train" / "model"
    assert fake.trained == [(base.name, "cpu", None), (later.name, "cpu", str(expected))]
    assert expected.is_dir()


def test_a_damaged_ledger_is_an_error(folder: Path) -> None:
    write_state(folder, State(Status.DONE))
    (folder / "state.json").write_text("{")
    with pytest.raises(OutputError, match=r"something else in .*state\.json"):
        read_state(folder)
