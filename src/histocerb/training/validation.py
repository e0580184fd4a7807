"""Checks during training: validation images, whole, with the real post-processing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
from lightning.pytorch.callbacks import Callback

from histocerb.core.samples import Sample
from histocerb.data.store import Store
from histocerb.models.network import Network
from histocerb.models.whole_image import mirrored_maps
from histocerb.training.config import ValidationConfig
from histocerb.training.evaluation import evaluate
from histocerb.training.module import StageModule

log = logging.getLogger(__name__)


def validate(network: Network, store: Store, config: ValidationConfig) -> dict[str, Any]:
    """Figures of the first validation samples of every source; see `evaluate`."""

    def predict(image: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        return mirrored_maps(network, image)

    was_training = {module: module.training for module in network.modules()}
    network.eval()
    report = evaluate(_samples(store, config), predict, network.spec)
    for module, training in was_training.items():
        module.training = training
    for source, tasks in report.items():
        for task, figures in tasks.items():
            log.info("validation on %s: %s %s", source, task, headline(figures))
    return report


def headline(figures: dict[str, Any]) -> str:
    """The figures of one task in a few words."""
    if "accuracy" in figures:
        return f"accuracy {figures['accuracy']:.3f}, mF1 {figures['mf1']:.3f}"
    types = figures.get("types")
    typed = f", type accuracy {types['accuracy']:.3f}" if types else ""
    dice, quality = figures["dice"]["mean"], figures["pq"]["mean"]
    return "nothing to find" if dice is None else f"Dice {dice:.3f}, PQ {quality:.3f}{typed}"


class Validation(Callback):
    """Validates every so many steps of a stage."""

    def __init__(self, store: Store, config: ValidationConfig) -> None:
        self.store = store
        self.config = config

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Validate when it is time."""
        del outputs, batch, batch_idx
        assert isinstance(pl_module, StageModule)
        if self.config.every and trainer.global_step % self.config.every == 0:
            validate(pl_module.network, self.store, self.config)


def _samples(store: Store, config: ValidationConfig) -> Iterator[Sample]:
    for source in sorted({record.source for record in store.records}):
        yield from store.samples(store.indices(splits=[config.split], source=source)[: config.images])
