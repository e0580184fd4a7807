"""Checks during training: validation images, whole, with the real post-processing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from histocerb.core.samples import Sample
from histocerb.data.batches import Batch
from histocerb.data.store import Store
from histocerb.metrics.figures import mean_of
from histocerb.models.network import Network
from histocerb.models.whole_image import mirrored_maps
from histocerb.training.calibration import Fit, calibrate
from histocerb.training.config import ValidationConfig
from histocerb.training.curves import draw_curves
from histocerb.training.evaluation.evaluate import ALL, Predict, evaluate
from histocerb.training.evaluation.measure import first_few
from histocerb.training.journal import Journal
from histocerb.training.module import StageModule

log = logging.getLogger(__name__)

_FIGURES = ("dice", "pq", "accuracy", "mf1")
"""What is logged; the document has more."""


def validate(network: Network, store: Store, config: ValidationConfig) -> dict[str, Any]:
    """Figures of some validation samples of every source (see `first_few`, `evaluate`)."""
    with _predicting(network) as predict:
        report = evaluate(_samples(store, config), predict, network.spec)
    for (source, task), figures in main_figures(report).items():
        log.info("validation on %s: %s %s", source, task, headline(figures))
    return report


def calibrate_on(network: Network, store: Store, config: ValidationConfig) -> dict[str, Fit]:
    """Fit temperatures to the same samples; see `calibrate`."""
    with _predicting(network) as predict:
        return calibrate(network, _samples(store, config), predict)


@contextmanager
def _predicting(network: Network) -> Iterator[Predict]:
    """The network in eval mode, as a function from an image to maps."""
    was_training = {module: module.training for module in network.modules()}
    network.eval()
    yield lambda image: mirrored_maps(network, image)
    for module, training in was_training.items():
        module.training = training


def main_figures(report: dict[str, Any]) -> dict[tuple[str, str], dict[str, float]]:
    """The defined ones of the figures that are logged, by source and task."""
    found = {}
    for source, tasks in report["summary"].items():
        for task, figures in tasks.items() if source != ALL else ():
            values = {name: mean_of(figures.get(name)) for name in _FIGURES}
            values["type_accuracy"] = mean_of(figures.get("types", {}).get("accuracy"))
            found[source, task] = {name: value for name, value in values.items() if value is not None}
    return found


def headline(figures: dict[str, float]) -> str:
    """The figures of one task in a few words."""
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items()) or "nothing to find"


class Validation:
    """Validates every so many steps of a stage, and draws the curves anew."""

    def __init__(self, store: Store, config: ValidationConfig, journal: Journal, stage: int) -> None:
        self.store = store
        self.config = config
        self.journal = journal
        self.stage = stage

    def begin(self, step: int) -> None:
        """Nothing to do."""

    def after_step(self, trainer: pl.Trainer, module: StageModule, batch: Batch) -> None:
        """Validate when it is time."""
        del batch
        if not self.config.every or trainer.global_step % self.config.every:
            return
        with module.shown():
            report = validate(module.network, self.store, self.config)
        self.journal.write(self.stage, trainer.global_step, journal_values(report))
        draw_curves(self.journal, curves_file(self.journal))


def journal_values(report: dict[str, Any]) -> dict[str, float]:
    """The main figures under the names that they have in the journal."""
    return {
        f"valid/{source}/{task}/{name}": value
        for (source, task), figures in main_figures(report).items()
        for name, value in figures.items()
    }


def curves_file(journal: Journal) -> Path:
    """Where the curves of a journal are drawn: beside it."""
    return journal.path.with_name("curves.png")


def _samples(store: Store, config: ValidationConfig) -> Iterator[Sample]:
    yield from store.samples(first_few(store, store.indices(splits=[config.split]), config.images))
