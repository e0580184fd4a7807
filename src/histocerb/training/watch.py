"""What is said while a stage trains: losses, pace, time left, and warnings."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import lightning.pytorch as pl
from torch.utils.data import DataLoader

from histocerb.data.batches import Batch
from histocerb.training.alarms import STARVED, stalled_heads
from histocerb.training.journal import Journal
from histocerb.training.module import StageModule

log = logging.getLogger(__name__)

_CHECKS = 4
"""Times in a stage that heads are looked at which do not learn."""


class TimedLoader:
    """A loader that adds up how long its reader waits for it."""

    def __init__(self, loader: DataLoader[Batch]) -> None:
        self.loader = loader
        self.waited_s = 0.0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self.loader)
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            self.waited_s += time.perf_counter() - began
            if batch is None:
                return
            yield batch


class Watch:
    """Every so many steps reads the losses, writes them to the journal and logs them.

    Reading waits for the device; between two readings nothing does.
    """

    def __init__(self, journal: Journal, loader: TimedLoader, stage: int, every: int = 20) -> None:
        self.journal = journal
        self.loader = loader
        self.stage = stage
        self.every = every
        self._began = self._last = (0, 0.0, 0.0)
        self._warned: set[str] = set()

    def begin(self, step: int) -> None:
        """Start the clock at the step that is done."""
        self._began = self._last = (step, time.monotonic(), self.loader.waited_s)

    def after_step(self, trainer: pl.Trainer, module: StageModule, batch: Batch) -> None:
        """Write when it is time."""
        del batch
        step, end = trainer.global_step, int(trainer.max_steps)
        if step % self.every and step != end:
            return
        losses = module.sums.means(step)
        module.sums.clear()
        if not module.team.leads:
            return
        now = (step, time.monotonic(), self.loader.waited_s)
        waiting = (now[2] - self._last[2]) / max(1e-9, now[1] - self._last[1])
        rate = (step - self._last[0]) / max(1e-9, now[1] - self._last[1])
        values = {f"loss/{head}": value for head, value in losses.items()}
        values |= {"lr": trainer.optimizers[0].param_groups[0]["lr"], "steps_per_s": rate, "waiting": waiting}
        self.journal.write(self.stage, step, values)
        self._say(losses, now, end)
        if self._last[0] != self._began[0]:  # the first stretch has the start of the loader in it
            self._warn_of_starvation(waiting)
        if step * _CHECKS // end > self._last[0] * _CHECKS // end:
            self._warn_of_heads(module.stage.heads, step, end)
        self._last = now

    def _say(self, losses: dict[str, float], now: tuple[int, float, float], end: int) -> None:
        step, first = now[0], self._began
        rate = (step - first[0]) / max(1e-9, now[1] - first[1])
        left_min = (end - step) / max(1e-9, rate) / 60
        text = "  ".join(f"{head} {value:.3f}" for head, value in losses.items())
        log.info("step %d/%d  %s  %.2f steps/s  %.0f min left", step, end, text, rate, left_min)

    def _warn_of_starvation(self, waiting: float) -> None:
        if waiting > STARVED and "waiting" not in self._warned:
            self._warned.add("waiting")
            log.warning(
                "%.0f %% of the time is spent waiting for data; more `workers` would help", 100 * waiting
            )

    def _warn_of_heads(self, heads: tuple[str, ...], step: int, end: int) -> None:
        rows = [row for row in self.journal.rows() if row.stage == self.stage]
        for head, complaint in stalled_heads(rows, heads, end, step):
            if head not in self._warned:
                self._warned.add(head)
                log.warning("%s %s", head, complaint)
