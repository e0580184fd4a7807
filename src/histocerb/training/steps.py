"""What happens after every optimiser step, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from histocerb.data.batches import Batch
from histocerb.training.files import become, writing
from histocerb.training.module import StageModule


class Listener(Protocol):
    """Someone who is told of steps."""

    def begin(self, step: int) -> None:
        """The stage begins, or goes on, after `step` steps."""
        ...

    def after_step(self, trainer: pl.Trainer, module: StageModule, batch: Batch) -> None:
        """A step is done; `batch` is the last one that it was made of."""
        ...


class AfterStep(Callback):
    """Brings the running mean up to date, then tells the listeners."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = listeners
        self._done = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember where the stage goes on."""
        del pl_module
        self._done = trainer.global_step
        for listener in self.listeners:
            listener.begin(self._done)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell, unless the batch only added to the gradient of a step."""
        del outputs, batch_idx
        assert isinstance(pl_module, StageModule)
        if trainer.global_step == self._done:
            return
        self._done = trainer.global_step
        if pl_module.mean is not None:
            pl_module.mean.update()
        for listener in self.listeners:
            listener.after_step(trainer, pl_module, batch)


class Saver:
    """Writes a file to resume from every so many steps; it appears whole or not at all."""

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every
        self._partial = path.with_name(f".{path.name}.partial")

    def begin(self, step: int) -> None:
        """Remove what a killed process left of a file that never became whole."""
        self._partial.unlink(missing_ok=True)

    def after_step(self, trainer: pl.Trainer, module: StageModule, batch: Batch) -> None:
        """Save when it is time, unless a loss is not finite: such a run is not worth resuming."""
        del batch
        if trainer.global_step % self.every == 0:
            module.sums.means(trainer.global_step)
            with writing(self.path.parent):
                trainer.save_checkpoint(self._partial)  # copied there from the system's temporary folder
                if trainer.is_global_zero:
                    become(self._partial, self.path)
