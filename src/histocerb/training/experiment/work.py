"""What a run does for real: `fit`, then the evaluation of its checkpoint on a split of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.samples import Sample
from histocerb.core.tasks import CELL_PX, PRESETS, Task, TaskSpec
from histocerb.data.store import Store
from histocerb.models.checkpoint import load_checkpoint
from histocerb.models.whole_image import mirrored_maps, plain_maps
from histocerb.training.config import TrainConfig
from histocerb.training.evaluation import Choice, Measured, measure
from histocerb.training.experiment.data import check_split, check_training
from histocerb.training.experiment.perform import Work
from histocerb.training.experiment.plan import Job
from histocerb.training.fit import fit


def train(job: Job, folder: Path, device: str) -> None:
    """Train, or go on.

    Raises:
        DataError: the store has changed since the experiment began.
    """
    check_training(job)
    fit(job.config, folder, device=device)


def evaluate(model: Path, job: Job, split: str, device: str) -> dict[str, Any]:
    """The evaluation document of a checkpoint on all samples of a split, for the heads of the job.

    Every task is judged by itself: lumina outside glands count, as a network for lumina alone finds them too.
    Patches are seen as in training: 144 px from their middle. All other images have their border mirrored.

    Raises:
        DataError: the store has changed since the experiment began.
    """
    store = Store(Path(job.config.store))
    check_split(job, split, store)
    checkpoint, margin_px = load_checkpoint(model), _patch_margin_px(job.config)
    network = checkpoint.network.to(device)

    def predict(image: npt.NDArray[np.uint8]) -> Mapping[str, npt.NDArray[np.float32]]:
        if image.shape[:2] != (CELL_PX, CELL_PX):
            return mirrored_maps(network, image)
        around = ((margin_px, margin_px), (margin_px, margin_px), (0, 0))
        return plain_maps(network, np.pad(image, around, mode="reflect"), margin_px)

    measured = Measured(str(model), checkpoint.sha256, _apart(network.spec.only(job.heads)), predict)
    return measure(store, Choice((split,)), measured, progress=lambda samples, _: map(_middle, samples))


def _middle(sample: Sample) -> Sample:
    """A larger patch cut to one cell; all else as it is."""
    height, width = sample.image.shape[:2]
    if sample.patch_class is None or sample.objects or min(height, width) < CELL_PX:
        return sample
    top, left = (height - CELL_PX) // 2, (width - CELL_PX) // 2
    return replace(sample, image=sample.image[top : top + CELL_PX, left : left + CELL_PX])


def _patch_margin_px(config: TrainConfig) -> int:
    """Context around patches when the patch head was trained; 0 where it was not."""
    patch = PRESETS[config.tasks].patch
    names = {head.name for head in patch.heads} if patch else set()
    crops = [stage.crops or config.crops for stage in config.stages if names & {*stage.heads}]
    return crops[-1].patch_margin_px if crops else 0


def _apart(spec: TaskSpec) -> TaskSpec:
    """The same tasks, none contained in another."""
    return replace(spec, tasks=tuple(_uncontained(task) for task in spec.tasks))


def _uncontained(task: Task) -> Task:
    if task.postproc is None:
        return task
    return replace(task, postproc=replace(task.postproc, within=None))


REAL = Work(train, evaluate)
"""The work of `histocerb experiment`."""
