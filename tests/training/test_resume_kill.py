"""A run that is killed, and killed again, ends with the weights of one that never was.

Real processes run the real command and die of SIGKILL. They are forked from one that has imported torch,
which would otherwise take most of the time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from histocerb.data.store import Store

KILLS = 5
SAVE_EVERY = 3
TOML = """
name = "killed"
store = "{store}"
seed = 3
workers = 0
save_every = 3
validation = {{ images = 1 }}
[[stages]]
heads = ["nuclei.instance", "gland.instance", "lumen.instance", "tissue.patch"]
steps = 30
ema = 0.9
[[stages]]
heads = ["nuclei.type", "gland.type"]
freeze = true
steps = 21
schedule = "cosine"
[network]
head_width = 8
patch_width = 8
encoder = {{ blocks = [1, 1, 1], widths = [16, 16, 16, 32], stem_stride = 2 }}
[sampler]
batch_size = 2
[crops]
crop_px = 48
"""
FORKER = """
import os, sys
import torch
import histocerb.training.fit
from histocerb.cli.main import main
torch.set_num_threads(1)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        os._exit(main(line.rstrip("\\n").split("\\t")))
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class _Runs:
    """Starts the command in processes of its own and tells how they ended."""

    def __init__(self, log: Path) -> None:
        self.log = log
        # One thread: sums of floats depend on how work is cut up.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with log.open("w") as errors:
            self._forker = subprocess.Popen(
                [sys.executable, "-c", FORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )

    def start(self, *arguments: str) -> int:
        """Id of the process that runs `histocerb ...`."""
        assert self._forker.stdin is not None
        self._forker.stdin.write("\t".join(arguments) + "\n")
        self._forker.stdin.flush()
        return int(self._line())

    def ended(self) -> int:
        """Waits for the process; negative: the signal that ended it, else its exit status."""
        status = int(self._line())
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _line(self) -> str:
        assert self._forker.stdout is not None
        return self._forker.stdout.readline()

    def close(self) -> None:
        self._forker.communicate(timeout=600)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[_Runs]:
    found = _Runs(tmp_path / "log.txt")
    yield found
    found.close()


def _saved(out: Path) -> tuple[tuple[str, int], ...]:
    """What there is to go on from: the files of all stages, and when they were written."""
    files = [
        path for pattern in ("last.ckpt", "weights.safetensors") for path in out.glob(f"stage-*/{pattern}")
    ]
    found = []
    for path in sorted(files):
        try:
            found.append((str(path), path.stat().st_mtime_ns))
        except FileNotFoundError:  # the run goes on
            continue
    return tuple(found)


def _kill_after_progress(process: int, out: Path, wait_s: float) -> None:
    """SIGKILL, that long after the run got further than it was."""
    before, end = _saved(out), time.monotonic() + 600
    while _saved(out) == before:
        assert time.monotonic() < end, "the run does not get on"
        time.sleep(0.002)
    time.sleep(wait_s)
    os.kill(process, signal.SIGKILL)


def test_killed_five_times_ends_with_the_same_weights(store: Store, tmp_path: Path, runs: _Runs) -> None:
    config = tmp_path / "run.toml"
    config.write_text(TOML.format(store=store.path.as_posix()))
    command = ("--quiet", "train", str(config), "--device", "cpu", "--out")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    began = time.monotonic()
    runs.start(*command, str(whole))
    assert runs.ended() == 0, runs.log.read_text()
    pace_s = (time.monotonic() - began) / 51  # at most: a step's share of the whole run
    rng = random.Random(7)
    for _ in range(KILLS):
        process = runs.start(*command, str(cut))
        _kill_after_progress(process, cut, rng.uniform(0, SAVE_EVERY * pace_s))
        assert runs.ended() == -signal.SIGKILL, "the run was done before it was killed"
        assert not (cut / "model").exists()
    runs.start(*command, str(cut))
    assert runs.ended() == 0, runs.log.read_text()
    expected, found = (load_file(out / "model" / "weights.safetensors") for out in (whole, cut))
    assert expected.keys() == found.keys()
    assert [key for key in expected if not expected[key].equal(found[key])] == []
    reports = [json.loads((out / "validation.json").read_text())["summary"] for out in (whole, cut)]
    assert reports[0] == reports[1]
