"""Pictures from the middle of a training: samples, what they should say, and what the network says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from histocerb.core.colours import colour
from histocerb.core.tasks import CELL_PX, HeadKind, Task
from histocerb.data.batches import Batch, HeadTarget
from histocerb.data.pictures import TARGET_COLOURS, Picture, framed, painted
from histocerb.data.targets import type_rows
from histocerb.models.network import Network
from histocerb.training.files import writing
from histocerb.training.module import StageModule

_MOST = 4
"""Samples of a head in a picture."""
_Cell = tuple[str, Picture]


class Pictures:
    """Writes `stage-K-step-N.png` every so many steps: per head, samples of the batch of that step."""

    def __init__(self, folder: Path, stage: int, every: int) -> None:
        self.folder = folder
        self.stage = stage
        self.every = every

    def begin(self, step: int) -> None:
        """Nothing to do."""

    def after_step(self, trainer: pl.Trainer, module: StageModule, batch: Batch) -> None:
        """Draw when it is time."""
        step = trainer.global_step
        if step % self.every or not batch.targets:
            return
        with module.shown():
            picture = batch_picture(module.network, batch)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(self.folder / f"stage-{self.stage}-step-{step:06}.png")


def batch_picture(network: Network, batch: Batch) -> Picture:
    """Per head of a batch: crops, truth and the most probable channel."""
    was_training = {module: module.training for module in network.modules()}
    network.eval()
    margin_px = max(0, batch.images.shape[-1] - CELL_PX) // 2
    rows = []
    with torch.no_grad():
        for task in network.spec.tasks:
            for head in task.heads:
                target = batch.targets.get(head.name)
                if target is not None:
                    shown = target.rows[:_MOST]
                    margin = margin_px if head.kind is HeadKind.PATCH else 0
                    features = network.encode(batch.images[shown].float())
                    logits = network.decode(head.name, features, margin)
                    cells = [cell for one in _cells(task, head.kind, batch, target, logits) for cell in one]
                    rows.append((head.name, cells))
    for module, training in was_training.items():
        module.training = training
    return framed(rows)


def _cells(
    task: Task, kind: HeadKind, batch: Batch, target: HeadTarget, logits: Tensor
) -> Iterator[tuple[_Cell, ...]]:
    """Per sample of the first ones with this target: image, truth, prediction."""
    for place, said in zip(target.rows[:_MOST].tolist(), logits.argmax(1).cpu(), strict=True):
        image = np.ascontiguousarray(batch.images[place].permute(1, 2, 0).cpu().numpy())
        truth = target.values[place].cpu().numpy()
        if kind is HeadKind.PATCH:
            yield ((f"{task.classes[int(truth)]} / {task.classes[int(said.flatten()[0])]}", image),)
            continue
        wanted, shades = TARGET_COLOURS, TARGET_COLOURS
        if kind is HeadKind.TYPE:
            wanted = {row: colour(name) for row, name in enumerate(type_rows(task)) if row}
            shades = {row: colour(name) for row, name in enumerate(task.classes, start=1)}
        yield (
            (task.name, image),
            ("truth", painted(truth, wanted)),
            ("prediction", painted(said.numpy(), shades)),
        )
