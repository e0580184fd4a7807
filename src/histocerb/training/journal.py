"""The journal of a run: a long table of losses, and a log line with rate and time left."""

from __future__ import annotations

import csv
import logging
import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from histocerb.core.errors import HistocerbError
from histocerb.training.module import StageModule

log = logging.getLogger(__name__)


class Journal(Callback):
    """Appends rows of (heads of the stage, step, name, value) to a CSV file and logs the same.

    A loss that is not finite ends the run with an error instead of a broken checkpoint.
    """

    def __init__(self, path: Path, every: int = 20) -> None:
        self.path = path
        self.every = every
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._begin = (0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        del pl_module
        self._begin = (trainer.global_step, time.monotonic())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add up the losses; write a row when it is time."""
        del outputs, batch, batch_idx
        assert isinstance(pl_module, StageModule)
        for name, value in trainer.logged_metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._counts[name] = self._counts.get(name, 0) + 1
        step = trainer.global_step
        if step % self.every == 0 or step == trainer.max_steps:
            self._write(trainer, pl_module.stage.heads, step)

    def _write(self, trainer: pl.Trainer, heads: tuple[str, ...], step: int) -> None:
        means = {name: self._sums[name] / self._counts[name] for name in sorted(self._sums)}
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise HistocerbError(f"{broken[0]} is not finite at step {step}; lower the learning rate")
        first, began = self._begin
        rate = (step - first) / max(1e-9, time.monotonic() - began)
        left_min = (trainer.max_steps - step) / max(1e-9, rate) / 60
        text = "  ".join(f"{name.removeprefix('loss/')} {value:.3f}" for name, value in means.items())
        log.info("step %d/%d  %s  %.2f steps/s  %.0f min left", step, trainer.max_steps, text, rate, left_min)
        row = {
            "stage": "+".join(heads),
            "step": step,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
        }
        self._append({**row, **means})
        self._sums.clear()
        self._counts.clear()

    def _append(self, row: dict[str, Any]) -> None:
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            for name, value in row.items():
                if name not in ("stage", "step"):
                    writer.writerow([row["stage"], row["step"], name, f"{value:.6g}"])
