"""One stage of multi-task training as a LightningModule."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from histocerb.core.tasks import CELL_PX, HeadKind
from histocerb.data.batches import Batch, HeadTarget
from histocerb.models.network import Features, Network, module_name
from histocerb.training.config import Precision, StageConfig
from histocerb.training.distributed import ALONE, Team, gathered
from histocerb.training.ema import WeightMean
from histocerb.training.losses import SubtypingForm, instance_loss, patch_loss, subtyping_loss
from histocerb.training.optimisation import lr_factor, make_optimizer
from histocerb.training.sums import LossSums

_MEAN = "weight_mean"
"""Key of the running mean of the weights in a file to resume from."""


class StageModule(pl.LightningModule):
    """Trains some heads of a network.

    A decoder runs on the samples that have its target and on no others; without any it is not called, so its
    parameters, running statistics and optimiser state do not move (paper section 3.2.2). The encoder is
    updated by every batch, unless the stage freezes it.

    Attributes:
        network: what is trained.
        stage: how.
        mean: the running mean of the weights, where the stage keeps one.
        sums: losses since they were last read.
    """

    def __init__(
        self,
        network: Network,
        stage: StageConfig,
        loss_weights: Mapping[str, float],
        seed: int,
        subtyping: SubtypingForm = "masked_ce_dice",
        precision: Precision = 32,
        team: Team = ALONE,
    ) -> None:
        """Train `network` as `stage` says; weights per head are 1 where none is given."""
        super().__init__()
        self.network = network
        self.stage = stage
        self.loss_weights = loss_weights
        self.subtyping = subtyping
        self.precision = precision
        self.seed = seed
        self.team = team
        self.kinds = {head.name: head.kind for head in network.spec.heads if head.name in stage.heads}
        network.requires_grad_(False)
        for part in self.parts.values():
            part.requires_grad_(True)
        self.mean = WeightMean(self.parts, stage.ema) if stage.ema else None
        self.sums = LossSums()

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What learns, by name."""
        decoders = {name: self.network.decoders[module_name(name)] for name in self.kinds}
        if self.stage.freeze:
            return decoders
        return {"encoder": self.network.encoder, "project": self.network.project, **decoders}

    def on_train_start(self) -> None:
        """Modules that do not learn stay in eval mode: their running statistics do not move either."""
        self.network.eval()
        for part in self.parts.values():
            part.train()
        if self.mean is not None:
            self.mean.to(next(self.network.parameters()).device)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Unweighted loss of every head that has a sample in the batch.

        Of a part of a batch it is this part's share: shares add up to the loss of the whole batch, and so do
        their gradients.
        """
        with torch.set_grad_enabled(not self.stage.freeze and torch.is_grad_enabled()), self._arithmetic():
            features = self.network.encode(batch.images.float())
        margin_px = max(0, batch.images.shape[-1] - CELL_PX) // 2
        losses = {}
        for name, kind in self.kinds.items():
            target = batch.targets.get(name)
            margin = margin_px if kind is HeadKind.PATCH else 0
            if name in batch.shares:
                losses[name] = self._share(name, features, target, batch.shares[name], margin)
            elif target is not None:
                logits = self._decode(name, features.select(target.rows), margin)
                losses[name] = self._loss(name, logits, target)
        return losses

    def _decode(self, name: str, features: Features, margin_px: int) -> Tensor:
        """Logits in float32."""
        with self._arithmetic():
            return self.network.decode(name, features, margin_px).float()

    def _arithmetic(self) -> AbstractContextManager[object]:
        """How exactly the network computes."""
        if self.precision == 32:
            return nullcontext()
        return torch.autocast(self.network.project.weight.device.type, torch.bfloat16)

    def _loss(self, name: str, logits: Tensor, target: HeadTarget, values: Tensor | None = None) -> Tensor:
        """Mean over the samples with this target."""
        values = target.values[target.rows].long() if values is None else values
        if self.kinds[name] is HeadKind.PATCH:
            return patch_loss(logits, values)
        if self.kinds[name] is HeadKind.TYPE:
            assert target.membership is not None, "type targets come with their membership table"
            return subtyping_loss(logits, values, target.membership, self.subtyping)
        return instance_loss(logits, values, None if target.weights is None else target.weights[target.rows])

    def _share(
        self,
        name: str,
        features: Features,
        target: HeadTarget | None,
        counts: tuple[int, ...],
        margin_px: int,
    ) -> Tensor:
        """This process's share of a head's loss. Also without samples: batch normalisation waits for all."""
        device = features.projected.device
        rows = torch.zeros(0, dtype=torch.int64, device=device) if target is None else target.rows
        logits = self._decode(name, features.select(rows), margin_px)
        if self.kinds[name] is not HeadKind.TYPE:
            return (
                logits.sum()
                if target is None
                else self._loss(name, logits, target) * (len(rows) / sum(counts))
            )
        # This loss is no mean over samples: it is computed from the logits of all.
        logits = gathered(logits, counts, self.team.rank)
        values = torch.zeros(0, *logits.shape[2:], dtype=torch.uint8, device=device)
        values = gathered(values if target is None else target.values[rows], counts, self.team.rank)
        if target is None:
            return logits[:0].sum()
        loss = self._loss(name, logits, target, values.long())
        sharing = sum(count > 0 for count in counts)
        return loss - loss.detach() * (1 - 1 / sharing)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Weighted sum of the losses (paper eq. 1)."""
        del batch_idx
        # Dropout is the same after a resume, and another on every rank.
        torch.manual_seed(self.seed * 1_000_003 + batch.step + self.team.rank * 2_147_483_647)
        losses = self.losses(batch)
        for name, loss in losses.items():
            self.sums.add(name, loss)
        if not losses:
            return torch.zeros((), device=self.device, requires_grad=True)
        weighted = [self.loss_weights.get(name, 1.0) * loss for name, loss in losses.items()]
        total = torch.stack(weighted).sum()
        return total * self.team.size  # Lightning takes the mean of the gradients of all ranks, not their sum

    def shown(self) -> AbstractContextManager[None]:
        """Inside, the network has the weights that are validated and kept."""
        return nullcontext() if self.mean is None else self.mean.applied()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser of what learns, with the stage's schedule."""
        parameters = [p for part in self.parts.values() for p in part.parameters()]
        optimizer = make_optimizer(self.stage, parameters)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(self.stage, step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Copy a batch from page-locked memory while the device works."""
        del dataloader_idx
        return batch.to(device, non_blocking=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the running mean."""
        if self.mean is not None:
            checkpoint[_MEAN] = self.mean.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the running mean."""
        if self.mean is not None:
            self.mean.load(checkpoint[_MEAN])
