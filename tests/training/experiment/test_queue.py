from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from histocerb.training.experiment.ledger import State, Status, read_state, run_folder
from histocerb.training.experiment.plan import Experiment, jobs
from histocerb.training.experiment.queue import work_off


def test_each_device_has_one_run_at_a_time(experiment: Experiment, tmp_path: Path, fake) -> None:
    both = threading.Barrier(2, timeout=20)
    busy: set[str] = set()

    def launch(folder: Path, device: str, stop: threading.Event) -> State:
        assert device not in busy
        busy.add(device)
        both.wait()  # two runs are under way together, or this breaks
        state = fake.launch(folder, device, stop)
        busy.discard(device)
        return state

    found = jobs(experiment, ("alone", "both"))
    assert work_off(found, tmp_path, ("cuda:0", "cuda:1"), launch)
    assert sorted(name for name, _, _ in fake.trained) == sorted(job.name for job in found)
    assert {device for _, device, _ in fake.trained} == {"cuda:0", "cuda:1"}


def test_a_run_waits_for_the_one_it_starts_from(experiment: Experiment, tmp_path: Path, fake) -> None:
    assert work_off(jobs(experiment), tmp_path, ("cpu", "cpu", "cpu"), fake.launch)
    order = [name for name, _, _ in fake.trained]
    for job in jobs(experiment):
        assert job.after is None or order.index(job.after) < order.index(job.name)


def test_one_failing_run_does_not_stop_the_others(experiment: Experiment, tmp_path: Path, faulty) -> None:
    bad = jobs(experiment, ("both",))[0]
    fake = faulty(bad.name, RuntimeError("no memory"))
    assert not work_off(jobs(experiment), tmp_path, ("cpu", "cpu"), fake.launch)
    states = {job.name: read_state(run_folder(tmp_path, job.name)) for job in jobs(experiment)}
    assert states[bad.name].reason == "RuntimeError: no memory"
    (after,) = (job.name for job in jobs(experiment) if job.after == bad.name)
    assert states[after] == State(Status.FAILED, f"it starts from {bad.name}, which failed")
    assert [name for name, state in states.items() if state.status is not Status.DONE] == [bad.name, after]


@pytest.mark.parametrize("length", [2, 3])
def test_a_failing_run_takes_all_that_follow_along(
    experiment: Experiment, tmp_path: Path, faulty, length: int
) -> None:
    """The last starts from one that starts from the failing one; nothing else is left to do."""
    bad, after = jobs(experiment, ("later",))[:2]
    chain = (bad, after, replace(after, name="last", after=after.name))[:length]
    fake = faulty(bad.name, RuntimeError("no memory"))
    assert not work_off(chain, tmp_path, ("cpu",), fake.launch)
    assert fake.trained == []
    for before, job in pairwise(chain):
        state = read_state(run_folder(tmp_path, job.name))
        assert state == State(Status.FAILED, f"it starts from {before.name}, which failed")


def test_the_same_again_does_only_what_is_left(experiment: Experiment, tmp_path: Path, faulty, fake) -> None:
    bad = jobs(experiment, ("both",))[0]
    work_off(jobs(experiment), tmp_path, ("cpu",), faulty(bad.name, RuntimeError("no memory")).launch)
    assert work_off(jobs(experiment), tmp_path, ("cpu",), fake.launch)
    assert [name for name, _, _ in fake.trained] == [
        bad.name,
        *(job.name for job in jobs(experiment) if job.after == bad.name),
    ]
    assert work_off(jobs(experiment), tmp_path, ("cpu",), fake.launch)
    assert len(fake.trained) == 2


def test_a_run_that_cannot_be_started_has_failed(experiment: Experiment, tmp_path: Path) -> None:
    def launch(folder: Path, device: str, stop: threading.Event) -> State:
        raise OSError("too many processes")

    found = jobs(experiment, ("both",))
    assert not work_off(found, tmp_path, ("cpu",), launch)
    state = read_state(run_folder(tmp_path, found[0].name))
    assert (state.status, state.reason) == (Status.FAILED, "it could not be started: too many processes")


def test_a_run_without_a_folder_has_failed(experiment: Experiment, tmp_path: Path, fake) -> None:
    first, second = jobs(experiment, ("both",))
    run_folder(tmp_path, first.name).parent.mkdir()
    run_folder(tmp_path, first.name).touch()
    assert not work_off((first, second), tmp_path, ("cpu",), fake.launch)
    assert [name for name, _, _ in fake.trained] == [second.name]


def test_an_interruption_stops_what_is_under_way(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def launch(folder: Path, device: str, stop: threading.Event) -> State:
        begun.set()
        assert stop.wait(20)
        ended.set()
        return State(Status.RUNNING)

    join = threading.Thread.join

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        monkeypatch.setattr(threading.Thread, "join", join)
        assert begun.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work_off(jobs(experiment), tmp_path, ("cpu",), launch)
    assert ended.is_set()
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_an_interrupted_run_stops_the_others(experiment: Experiment, tmp_path: Path, faulty) -> None:
    base = jobs(experiment, ("later",))[0]
    fake = faulty(base.name, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        work_off(jobs(experiment, ("later",)), tmp_path, ("cpu", "cpu"), fake.launch)
    assert read_state(run_folder(tmp_path, base.name)).status is Status.RUNNING
