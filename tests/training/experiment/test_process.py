from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from histocerb.core.errors import UsageError
from histocerb.training.experiment import process
from histocerb.training.experiment.ledger import (
    LOG_FILE,
    State,
    Status,
    document_file,
    read_job,
    read_state,
    run_folder,
    write_job,
    write_json,
    write_state,
)
from histocerb.training.experiment.plan import Experiment, jobs


@pytest.fixture
def folder(experiment: Experiment, tmp_path: Path) -> Path:
    job = jobs(experiment)[0]
    path = run_folder(tmp_path, job.name)
    write_job(path, job)
    return path


def _instead(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """A shell script in place of the new process."""
    path = folder / "script"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(process.sys, "executable", str(path))


def _set_visible(monkeypatch: pytest.MonkeyPatch, visible: str | None) -> None:
    """The GPUs that this process was given; None: all."""
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


def test_a_run_in_its_own_process_says_why_it_failed(folder: Path) -> None:
    state = process.launch(folder, "cpu", threading.Event())
    assert state == read_state(folder)
    assert state.status is Status.FAILED
    assert "stores/x" in state.reason
    assert state.process not in (0, os.getpid())
    said = (folder / LOG_FILE).read_text()
    assert "Traceback" in said
    assert "Fatal" not in said


def test_a_run_that_is_done_ends_its_process_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the end of the parent must not be in the way when the interpreter ends."""
    job = read_job(folder)
    write_state(folder, State(Status.RUNNING, trained=True))
    for split in job.splits.values():
        write_json(document_file(folder, job, split), {})
    codes: list[int] = []

    class Noted(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            codes.append(super().wait(timeout))
            return codes[-1]

    monkeypatch.setattr(process.subprocess, "Popen", Noted)
    assert process.launch(folder, "cpu", threading.Event()).status is Status.DONE
    assert codes[0] == 0
    assert (folder / LOG_FILE).read_text() == ""


def test_a_killed_process_is_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _instead(monkeypatch, folder, "echo last words; kill -9 $$")
    state = process.launch(folder, "cpu", threading.Event())
    assert state.status is Status.FAILED
    assert state.reason.startswith("its process ended with status -9; ")
    assert read_state(folder) == state
    assert (folder / LOG_FILE).read_text() == "last words\n"


def test_a_process_is_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _instead(monkeypatch, folder, "exec sleep 60")
    stop, begin = threading.Event(), time.monotonic()
    threading.Timer(0.3, stop.set).start()
    assert process.launch(folder, "cpu", stop) == State()
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cpu", None, ("cpu", None)),
        ("cuda", "3,4", ("cuda", "3,4")),
        ("cuda:1", None, ("cuda", "1")),
        ("cuda:1", "3,4", ("cuda", "4")),
        ("cuda:1", "GPU-a,GPU-b", ("cuda", "GPU-b")),
    ],
)
def test_a_process_sees_its_own_device_only(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    visible: str | None,
    expected: tuple[str, str | None],
) -> None:
    _set_visible(monkeypatch, visible)
    _instead(monkeypatch, folder, 'echo "$4 ${CUDA_VISIBLE_DEVICES-unset}"')
    process.launch(folder, device, threading.Event())
    name, seen = expected
    assert (folder / LOG_FILE).read_text() == f"{name} {seen or 'unset'}\n"


@pytest.mark.parametrize(
    ("devices", "visible"),
    [(("cpu",), ""), (("cuda:0", "cuda:3"), None), (("cuda", "cuda:1"), "2,5"), (("cuda:1",), "2, 5")],
)
def test_devices_that_runs_may_use(
    monkeypatch: pytest.MonkeyPatch, devices: tuple[str, ...], visible: str | None
) -> None:
    _set_visible(monkeypatch, visible)
    process.check_devices(devices)


@pytest.mark.parametrize(
    ("devices", "visible", "message"),
    [
        (("cuda:0", "cuda:0"), None, "expected each device once, found 'cuda:0' twice"),
        (("cuda", "cuda:1", "cuda:0"), None, "expected each device once, found 'cuda:0' twice"),
        (("cuda:1", "cuda:01"), None, "expected each device once, found 'cuda:01' twice"),
        (("cpu", "cpu"), None, "expected each device once, found 'cpu' twice"),
        (("cuda:0", "cuda:1"), "2", "the 1 GPUs that .* gives .2., found 'cuda:1'; change --devices"),
        (("cuda:2",), "GPU-a,GPU-b", "expected one of the 2 GPUs"),
        (("cuda:1",), "2,-1,5", "expected one of the 1 GPUs"),
        (("cuda",), "", "expected one of the 0 GPUs"),
    ],
)
def test_devices_that_were_not_given_or_are_named_twice(
    monkeypatch: pytest.MonkeyPatch, devices: tuple[str, ...], visible: str | None, message: str
) -> None:
    _set_visible(monkeypatch, visible)
    with pytest.raises(UsageError, match=message):
        process.check_devices(devices)
