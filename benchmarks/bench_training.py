"""Where the time of training goes.

1. The loader alone: augmented 448 px samples with targets and border weights, as the paper draws them, per
   second of one core (processor time, so that other work on the machine does not count).
2. A training step on the processor: what is spent in the network (forward, backward, optimiser) and what
   outside of it (waiting for a loader process, losses, journal, Lightning), through `fit` as it is.

    python -m benchmarks.bench_training [--samples N] [--steps N] [--threads N]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.batches import BatchDataset, CropParams
from histocerb.data.convert import Conversion, convert
from histocerb.data.sampler import SamplerParams, TaskSampler
from histocerb.data.sources.synth import synth
from histocerb.data.store import Store
from histocerb.training.config import StageConfig, TrainConfig, ValidationConfig
from histocerb.training.fit import fit

BATCH = 9
HEADS = tuple(head.name for head in CERBERUS.heads if head.kind is HeadKind.INSTANCE)
NETWORK = ("encoder", "decoders", "backward", "optimiser")
"""Parts of a step that are the network's; all others are outside."""


def loader_rate(store: Store, samples: int) -> tuple[float, float, pstats.Stats]:
    """Samples per second of processor time and of the clock, and a profile."""
    cv2.setNumThreads(0)  # as in a loader process
    sampler = TaskSampler(store, None, SamplerParams(BATCH, segmentation_prob=1.0))
    dataset = BatchDataset(store, sampler, 0, CropParams())
    batches = max(1, samples // BATCH)
    for step in range(2):
        dataset[step]
    processor, clock = time.process_time(), time.perf_counter()
    for step in range(batches):
        dataset[step]
    rates = tuple(
        batches * BATCH / spent for spent in (time.process_time() - processor, time.perf_counter() - clock)
    )
    with cProfile.Profile() as profile:
        for step in range(batches):
            dataset[step]
    return rates[0], rates[1], pstats.Stats(profile)


class StepClock(Callback):
    """Adds up the seconds of the parts of training steps; the first ones, slow and odd, are left out."""

    def __init__(self, skip: int) -> None:
        self.skip = skip
        self.seconds: Counter[str] = Counter()
        self.steps = 0
        self._counted: dict[str, float] = {}
        self._began = 0.0
        self._backward = 0.0
        self._waited = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put clocks around the network, the optimiser and the step."""
        network: Any = pl_module.network
        network.encode = self._timed("encoder", network.encode)
        network.decode = self._timed("decoders", network.decode)
        module: Any = pl_module
        module.training_step = self._timed("step", module.training_step)
        # Lightning runs step and backward pass from within the optimiser's step.
        module.optimizer_step = self._timed("closure", module.optimizer_step)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """The backward pass begins."""
        self._backward = time.perf_counter()

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The backward pass is done."""
        self.seconds["backward"] += time.perf_counter() - self._backward

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begin to count after the first steps."""
        if trainer.global_step == self.skip:
            self.seconds.clear()
            self._began, self._waited = time.perf_counter(), trainer.train_dataloader.waited_s
        elif trainer.global_step == trainer.max_steps:
            self.steps = trainer.max_steps - self.skip
            self.seconds["all"] = time.perf_counter() - self._began
            self.seconds["waiting for batches"] = trainer.train_dataloader.waited_s - self._waited
            self._counted = dict(self.seconds)  # the validation that follows is no step

    def parts(self) -> dict[str, float]:
        """Seconds per step and part; they add up to the whole."""
        found = {name: value / self.steps for name, value in self._counted.items()}
        whole, step, closure = found.pop("all"), found.pop("step"), found.pop("closure")
        found["losses"] = step - found["encoder"] - found["decoders"]
        found["optimiser"] = closure - step - found["backward"]
        found["journal, Lightning"] = whole - sum(found.values())
        return found

    def _timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begin = time.perf_counter()
            found = work(*arguments)
            self.seconds[name] += time.perf_counter() - begin
            return found

        return timed


def step_parts(store: Store, out: Path, steps: int, skip: int = 3) -> dict[str, float]:
    """Seconds per step and part: the light network, 8 crops of 256 px, one loader process."""
    config = TrainConfig(
        name="bench",
        store=str(store.path),
        stages=(StageConfig(heads=HEADS, steps=steps + skip),),
        network="small",
        sampler=SamplerParams(8),
        crops=CropParams(crop_px=256),
        validation=ValidationConfig(images=1),
        workers=1,
    )
    clock = StepClock(skip)
    fit(config, out, (clock,), device="cpu")
    return clock.parts()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=180)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the network")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        store = convert(synth(6, 768), Path(folder) / "store", Conversion("synth"))
        processor, clock, profile = loader_rate(store, chosen.samples)
        print(f"loader: {processor:.0f} samples of 448 px per second of one core, {clock:.0f} by the clock")
        profile.sort_stats("tottime").print_stats(12)
        parts = step_parts(store, Path(folder) / "run", chosen.steps)
    whole = sum(parts.values())
    for name, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        place = "network" if name in NETWORK else "outside"
        print(f"{name:22} {1000 * seconds:8.1f} ms {seconds / whole:7.1%}  {place}")
    outside = sum(seconds for name, seconds in parts.items() if name not in NETWORK)
    print(f"a step: {1000 * whole:.0f} ms, {outside / whole:.1%} outside the network")


if __name__ == "__main__":
    main()
