"""A real experiment, from its file to its table: killed, resumed, with a row that fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest

from histocerb.data.convert import split_store
from histocerb.data.splits import SplitParams
from histocerb.data.store import Store
from histocerb.training.experiment.data import on_store
from histocerb.training.experiment.files import read_experiment
from histocerb.training.experiment.ledger import State, Status, document_file, run_folder
from histocerb.training.experiment.perform import perform
from histocerb.training.experiment.plan import jobs
from histocerb.training.experiment.run import run_experiment, states, write_table
from histocerb.training.experiment.work import REAL

BASE = """
name = "base"
store = "unused"
tasks = "cerberus-eroded"
stages = [{ heads = ["nuclei.instance", "tissue.patch"], steps = 20 }]
workers = 0
save_every = 2
sampler = { batch_size = 2 }
crops = { crop_px = 48, contour = false }
validation = { images = 1 }

[network]
head_width = 8
patch_width = 8
encoder = { blocks = [1, 1, 1], widths = [16, 16, 16, 32], stem_stride = 2 }
"""
EXPERIMENT = """
name = "tiny"
title = "Table 0"
store = "STORE"
base = "base.toml"
folds = ["fold-1"]
external = "external"
labels = ["Model"]

[[sections]]
columns = [
  { heading = "PQ", part = "cross", task = "nuclei", figure = "pq" },
  { heading = "PQ outside", part = "external", task = "nuclei", figure = "pq" },
]

[[rows]]
name = "first"
labels = ["First"]
runs = [{}]
paper = [[[0.5, 0.01], [0.4, 0.02]]]

[[rows]]
name = "later"
labels = ["Later"]

[[rows.runs]]
start_from = "row:first"
change = { stages = [{ heads = ["nuclei.type"], steps = 2, freeze = true }] }

[[rows]]
name = "bad"
labels = ["Bad"]
runs = [{ change = { encoder_weights = "nothing.pth" } }]
"""


ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
"""Threads of so small a network wait for each other, for long on a busy machine."""


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    shutil.copytree(store.path, folder)
    split_store(folder, SplitParams(folds=2, external=("s9", "s10", "s11")))
    (tmp_path / "base.toml").write_text(BASE)
    path = tmp_path / "tiny.toml"
    path.write_text(EXPERIMENT.replace("STORE", folder.as_posix()))
    return path


def _here(folder: Path, device: str, stop: Event) -> State:
    del stop
    return perform(folder, device, REAL)


def _killed_while_training(config: Path, out: Path, checkpoint: Path) -> None:
    """Run the command until there is something to resume from, then kill it, and it alone."""
    words = ["experiment", "run", str(config), "--out", str(out), "--devices", "cpu", "--only", "first"]
    code = f"import sys; from histocerb.cli.main import main; sys.exit(main({words!r}))"
    command = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, env=ONE_THREAD)
    while not checkpoint.exists():
        assert command.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    command.send_signal(signal.SIGKILL)
    command.wait()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("one_thread")
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
def test_an_experiment_is_killed_resumed_and_printed(config: Path, tmp_path: Path) -> None:
    out, experiment = tmp_path / "out", on_store(read_experiment(config))
    first, later, bad = jobs(experiment)
    train = run_folder(out, first.name) / "train"
    _killed_while_training(config, out, train / "stage-1" / "last.ckpt")
    interrupted = states(experiment, out)[first.name]
    assert interrupted.status is Status.INTERRUPTED
    deadline = time.monotonic() + 10
    while _is_alive(interrupted.process):
        assert time.monotonic() < deadline, "the run goes on without the experiment"
        time.sleep(0.05)

    assert (train / "stage-1" / "last.ckpt").is_file(), "what `fit` resumes from"
    assert not run_experiment(experiment, out, ("cpu",), _here)
    found = states(experiment, out)
    assert [found[job.name].reason for job in (first, later)] == ["", ""]
    assert [found[job.name].status for job in (first, later, bad)] == ["done", "done", "failed"]
    assert "nothing.pth" in found[bad.name].reason
    path = document_file(run_folder(out, later.name), later, "external")
    document = json.loads(path.read_text())
    assert document["data"]["fingerprint"] == experiment.data["external"]
    assert set(document["summary"]["all"]) == {"nuclei"}
    assert (
        "types" in document["summary"]["all"]["nuclei"] or document["summary"]["all"]["nuclei"]["found"] == 0
    )

    text = write_table(experiment, out)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["First", "", "Later", "Bad"]
    assert "missing" not in rows[2] + rows[4]
    assert rows[5].count("missing") == 2
