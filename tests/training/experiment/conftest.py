from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from histocerb.training.config import StageConfig, TrainConfig
from histocerb.training.experiment.ledger import State
from histocerb.training.experiment.perform import Work, perform
from histocerb.training.experiment.plan import Column, Experiment, Job, Row, Run, Section

FIGURES = {"fold-1": 0.5, "fold-2": 0.7, "external": 0.4}
DATA = {"fold-1": "1" * 64, "fold-2": "2" * 64, "external": "e" * 64}


def config(*heads: str, **changes: Any) -> TrainConfig:
    base = TrainConfig(name="-".join(heads).replace(".", "_"), store="", stages=(StageConfig(heads, 3),))
    return replace(base, **changes)


def column(part: Any, task: str, figure: str = "pq") -> Column:
    return Column(f"{task} {figure}", part, task, figure)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads of so small a network wait for each other, for long on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def experiment() -> Experiment:
    """A reference, two networks of one task each, one of both, and one that starts from the latter."""
    both = Run(config("gland.instance", "lumen.instance"))
    rows = (
        Row("known", ("Known",), (), (((0.61, 0.02), (0.51, 0.03)), ((0.4, 0.01), (0.3, 0.1)))),
        Row("alone", ("Alone",), (Run(config("gland.instance")), Run(config("lumen.instance")))),
        Row("both", ("Both",), (both,), (((0.62, 0.02), (0.52, 0.03)), ((0.41, 0.01), (0.31, 0.1)))),
        Row("later", ("Later",), (Run(config("gland.instance", "lumen.instance", seed=1), "both"),)),
    )
    sections = (
        Section((column("cross", "gland"), column("cross", "lumen")), "(a) Cross validation"),
        Section((column("external", "gland"), column("external", "lumen", "types.mf1")), "(b) External test"),
    )
    return Experiment(
        "tiny", "Table 0", "stores/x", ("fold-1", "fold-2"), ("Model",), sections, rows, DATA, "external"
    )


@dataclass
class FakeWork:
    """Trains by writing a file and evaluates by looking up figures; does what `trouble` says before."""

    trouble: dict[str, Exception] = field(default_factory=dict)
    trained: list[tuple[str, str, str | None]] = field(default_factory=list)
    evaluated: list[tuple[str, str]] = field(default_factory=list)

    def train(self, job: Job, folder: Path, device: str) -> None:
        for word, error in self.trouble.items():
            if job.name.startswith(word):
                raise error
        self.trained.append((job.config.name, device, job.config.start_from))
        (folder / "model").mkdir(parents=True, exist_ok=True)

    def evaluate(self, model: Path, job: Job, split: str, device: str) -> dict[str, Any]:
        assert model.is_dir()
        self.evaluated.append((job.name, split))
        tasks = {name.split(".")[0] for name in job.heads}
        figure = FIGURES[split]
        summary = {"n": 3, "mean": figure, "sd": 0.1, "low": 0.0, "high": 1.0}
        found = {"pq": summary, "types": {"mf1": {**summary, "mean": None}, "map": summary}}
        return {"summary": {"all": dict.fromkeys(tasks, found)}}

    @property
    def work(self) -> Work:
        return Work(self.train, self.evaluate)

    def launch(self, folder: Path, device: str, stop: Event) -> State:
        del stop
        return perform(folder, device, self.work)


@pytest.fixture
def fake() -> FakeWork:
    return FakeWork()


@pytest.fixture
def faulty() -> Callable[[str, Exception], FakeWork]:
    return lambda word, error: FakeWork({word: error})
