"""One stage of multi-task training as a LightningModule."""

from __future__ import annotations

import math

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from histocerb.core.tasks import CELL_PX, HeadKind
from histocerb.data.batches import Batch, HeadTarget
from histocerb.models.network import Network, module_name
from histocerb.training.config import StageConfig
from histocerb.training.losses import instance_loss, patch_loss, subtyping_loss


class StageModule(pl.LightningModule):
    """Trains some heads of a network.

    A decoder runs on the samples that have its target and on no others; without any it is not called, so its
    parameters, running statistics and optimiser state do not move (paper section 3.2.2). The encoder is
    updated by every batch, unless the stage freezes it.
    """

    def __init__(
        self, network: Network, stage: StageConfig, loss_weights: dict[str, float], seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.stage = stage
        self.loss_weights = loss_weights
        self.seed = seed
        self.kinds = {head.name: head.kind for head in network.spec.heads if head.name in stage.heads}
        learning = self._learning()
        for module in (network.encoder, network.project, *network.decoders.values()):
            module.requires_grad_(any(module is other for other in learning))

    def _learning(self) -> list[nn.Module]:
        decoders = [self.network.decoders[module_name(name)] for name in self.kinds]
        return decoders if self.stage.freeze else [self.network.encoder, self.network.project, *decoders]

    def on_train_start(self) -> None:
        """Modules that do not learn stay in eval mode: their running statistics do not move either."""
        self.network.eval()
        for module in self._learning():
            module.train()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Unweighted loss of every head that has a sample in the batch."""
        with torch.set_grad_enabled(not self.stage.freeze and torch.is_grad_enabled()):
            features = self.network.encode(batch.images.float())
        losses = {}
        for name, kind in self.kinds.items():
            target = batch.targets.get(name)
            if target is None:
                continue
            index = target.present.nonzero()[:, 0]
            margin_px = max(0, batch.images.shape[-1] - CELL_PX) // 2 if kind is HeadKind.PATCH else 0
            logits = self.network.decode(name, features.select(index), margin_px)
            losses[name] = _loss(kind, logits, target, index)
        return losses

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Weighted sum of the losses (paper eq. 1)."""
        del batch_idx
        torch.manual_seed(self.seed * 1_000_003 + self.global_step)  # dropout: the same after a resume
        losses = self.losses(batch)
        for name, loss in losses.items():
            self.log(f"loss/{name}", loss.detach(), batch_size=1)
        if not losses:
            return torch.zeros((), device=self.device, requires_grad=True)
        return torch.stack([self.loss_weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam on what learns, with the stage's schedule."""
        parameters = [p for module in self._learning() for p in module.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self.stage.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(self.stage, step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def lr_factor(stage: StageConfig, step: int) -> float:
    """Share of the stage's learning rate at a step."""
    if stage.schedule == "step":
        return 1.0 if step * 9 < stage.steps * 7 else 0.1
    warm_up = max(1, round(0.03 * stage.steps))
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(1.0, (step - warm_up) / max(1, stage.steps - warm_up))
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def _loss(kind: HeadKind, logits: Tensor, target: HeadTarget, index: Tensor) -> Tensor:
    values = target.values[index].long()
    if kind is HeadKind.PATCH:
        return patch_loss(logits, values)
    if kind is HeadKind.TYPE:
        assert target.membership is not None, "type targets come with their membership table"
        return subtyping_loss(logits, values, target.membership)
    return instance_loss(logits, values, None if target.weights is None else target.weights[index])
