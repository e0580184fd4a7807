from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from histocerb.training.distributed import ALONE
from histocerb.training.journal import Journal
from histocerb.training.sums import LossSums
from histocerb.training.watch import TimedLoader, Watch


class _Slow:
    """A loader that takes its time."""

    def __init__(self, pause_s: float, count: int = 3) -> None:
        self.pause_s, self.count = pause_s, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            time.sleep(self.pause_s)
            yield number


def test_waiting_is_added_up_and_work_is_not() -> None:
    loader = TimedLoader(_Slow(0.05))  # type: ignore[arg-type]
    seen = []
    for batch in loader:
        seen.append(batch)
        time.sleep(0.1)
    assert seen == [0, 1, 2]
    assert len(loader) == 3
    assert 0.15 <= loader.waited_s < 0.15 + 0.3


class _Run:
    """A watch over steps that cost nothing; losses and waiting are said by the test."""

    def __init__(self, tmp_path: Path, end: int, every: int = 10) -> None:
        self.loader = TimedLoader(_Slow(0))  # type: ignore[arg-type]
        self.journal = Journal(tmp_path / "journal.csv", (end,))
        self.watch = Watch(self.journal, self.loader, 1, every)
        self.end = end
        self.module: Any = SimpleNamespace(
            sums=LossSums(), team=ALONE, stage=SimpleNamespace(heads=("gland.instance", "lumen.instance"))
        )
        self.watch.begin(0)

    def step(self, number: int, loss: float) -> None:
        self.module.sums.add("gland.instance", torch.tensor(loss))
        group = SimpleNamespace(param_groups=[{"lr": 0.5}])
        trainer: Any = SimpleNamespace(global_step=number, max_steps=self.end, optimizers=[group])
        self.watch.after_step(trainer, self.module, None)  # type: ignore[arg-type]


def test_rows_every_so_many_steps_and_at_the_end(tmp_path: Path) -> None:
    run = _Run(tmp_path, end=25)
    for number in range(1, 26):
        run.step(number, float(number))
    rows = [row for row in run.journal.rows() if row.name == "loss/gland.instance"]
    assert [(row.step, row.value) for row in rows] == [(10, 5.5), (20, 15.5), (25, 23.0)]
    assert {row.name for row in run.journal.rows()} == {
        "loss/gland.instance",
        "lr",
        "steps_per_s",
        "waiting",
    }


def test_says_pace_and_time_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = _Run(tmp_path, end=1000)
    with caplog.at_level(logging.INFO):
        for number in range(1, 11):
            run.step(number, 0.25)
    (line,) = caplog.messages
    assert line.startswith("step 10/1000  gland.instance 0.250")
    assert "steps/s" in line
    assert "min left" in line


def test_warns_of_what_does_not_learn_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = _Run(tmp_path, end=400)
    for number in range(1, 401):
        run.step(number, 1.0)
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.split()[0] for text in said] == ["gland.instance", "lumen.instance"]
    assert "no sample in 100 steps" in said[1]


def test_warns_of_a_slow_loader_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = _Run(tmp_path, end=1000)
    for number in range(1, 41):
        run.loader.waited_s += 1.0  # in no time
        run.step(number, 1 / number)
    said = [text for text in caplog.messages if "waiting for data" in text]
    assert len(said) == 1
    assert "workers" in said[0]
