"""What a run would take on this machine, from a few real steps of each stage; nothing is kept."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.flop_counter import FlopCounterMode

from histocerb.core.memory import peak_memory_mb
from histocerb.data.batches import Batch
from histocerb.data.store import Store
from histocerb.models.cost import parameters
from histocerb.models.network import Network
from histocerb.training.averaging import check_averages
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig
from histocerb.training.distributed import ALONE
from histocerb.training.frequencies import check_frequencies
from histocerb.training.hardware import find_hardware
from histocerb.training.journal import Journal
from histocerb.training.module import StageModule
from histocerb.training.scalars import scalar_sinks
from histocerb.training.stage import (
    Place,
    make_trainer,
    quiet_lightning,
    stage_batches,
    stage_module,
    steps_done,
)

_STEPS = 4
"""Steps that are made; the first one, which is slower, does not count."""


@dataclass(frozen=True)
class StageCost:
    """What one stage takes, on one device.

    Attributes:
        heads: that learn.
        parameters: of the whole network.
        learning: parameters that learn.
        flops: floating point operations of a step in matrix products and convolutions, forward and backward,
            mean over the measured steps.
        memory_mb: most that was held: of the GPU, or of the process.
        steps: of the stage.
        done: how many of them an interrupted run has made.
        steps_per_s: without the first step.
    """

    heads: tuple[str, ...]
    parameters: int
    learning: int
    flops: float
    memory_mb: float
    steps: int
    done: int
    steps_per_s: float

    @property
    def left_s(self) -> float:
        """Seconds until the stage is done."""
        return (self.steps - self.done) / self.steps_per_s


def dry_run(config: TrainConfig, out: Path, device: str = "auto") -> tuple[StageCost, ...]:
    """Make a few steps of every stage of a run and forget them.

    Args:
        config: the run; of several devices, one is measured with the whole batch.
        out: folder of the run, where what is done is looked up. Nothing is written to it.
        device: as in `fit`.

    Raises:
        UsageError: an impossible configuration.
    """
    hardware, store = find_hardware(device), Store(Path(config.store))
    hardware.prepare(config.precision)
    network = first_network(config)
    check_frequencies(config, network.spec)
    check_averages(config)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        scalar_sinks(config.logger, Path(folder))
        journal = Journal(Path(folder) / "journal.csv", ())
        for number in range(1, len(config.stages) + 1):
            place = Place(number, store, Path(folder), journal, hardware, ALONE)
            done = steps_done(out / place.folder.name, config.stages[number - 1].steps)
            found.append(_cost(network, config, place, done))
    return tuple(found)


def _cost(network: Network, config: TrainConfig, place: Place, done: int) -> StageCost:
    stage = config.stages[place.number - 1]
    module, meter = stage_module(network, config, place), _Meter()
    if place.hardware.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with quiet_lightning():
        steps = min(_STEPS, stage.steps)
        make_trainer(config, place, steps, (meter,)).fit(module, stage_batches(network, config, place))
    cuda = place.hardware.kind == "cuda"
    flops = _mean_flops(network, config, place, meter.batches)
    return StageCost(
        heads=stage.heads,
        parameters=parameters(network),
        learning=sum(p.numel() for part in module.parts.values() for p in part.parameters()),
        flops=flops * stage.accumulate,
        memory_mb=torch.cuda.max_memory_allocated() / 2**20 if cuda else peak_memory_mb(),
        steps=stage.steps,
        done=done,
        steps_per_s=meter.rate(),
    )


class _Meter(Callback):
    """When steps were done, and the shapes of their batches."""

    def __init__(self) -> None:
        self.done_s: dict[int, float] = {}
        self.batches: list[Batch] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The clock starts."""
        del trainer, pl_module
        self.done_s[0] = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the time when the device is ready."""
        del outputs, batch_idx
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self.done_s.setdefault(trainer.global_step, time.monotonic())
        self.batches.append(batch.to("meta"))

    def rate(self) -> float:
        """Steps per second after the first one; of a stage of one step, that one's."""
        last = max(self.done_s)
        first = min(1, last - 1)
        return (last - first) / max(1e-9, self.done_s[last] - self.done_s[first])


def _mean_flops(network: Network, config: TrainConfig, place: Place, batches: list[Batch]) -> float:
    """Of a batch, forward and backward, on shapes alone."""
    with torch.device("meta"):
        shapes = Network(network.spec, network.config)
    module = stage_module(shapes, replace(config, precision=32), place)  # shapes have no arithmetic
    module.on_train_start()
    known: dict[object, float] = {}
    for batch in batches:
        if _shape(batch) not in known:
            known[_shape(batch)] = _flops(module, batch)
    return sum(known[_shape(batch)] for batch in batches) / len(batches)


def _shape(batch: Batch) -> object:
    """What the operations depend on."""
    return batch.images.shape, frozenset((name, len(target.rows)) for name, target in batch.targets.items())


def _flops(module: StageModule, batch: Batch) -> float:
    with FlopCounterMode(display=False) as counter:
        losses = list(module.losses(batch).values())
        if losses:
            torch.autograd.backward(torch.stack(losses).sum())
    return float(counter.get_total_flops())
