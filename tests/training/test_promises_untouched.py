"""Decoders without samples are not touched: checked at every step of real training runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.batches import Batch, CropParams
from histocerb.data.sampler import BatchMode, SamplerParams
from histocerb.data.store import Store
from histocerb.models.config import NetworkConfig
from histocerb.models.network import module_name
from histocerb.training.config import StageConfig, TrainConfig, ValidationConfig
from histocerb.training.fit import fit
from histocerb.training.module import StageModule

HEADS = tuple(head.name for head in CERBERUS.heads if head.kind is not HeadKind.TYPE)
PATCH = next(head.name for head in CERBERUS.heads if head.kind is HeadKind.PATCH)
STEPS = 11


def _state(trainer: pl.Trainer, module: StageModule) -> dict[str, dict[str, torch.Tensor]]:
    """Per head: bits of its parameters, buffers (running statistics) and optimiser state."""
    (optimizer,) = trainer.optimizers
    found = {}
    for name in HEADS:
        decoder = module.network.decoders[module_name(name)]
        state = {f"weights {key}": value for key, value in decoder.state_dict().items()}
        for number, parameter in enumerate(decoder.parameters()):
            for key, value in optimizer.state.get(parameter, {}).items():
                state[f"optimiser {number} {key}"] = torch.as_tensor(value)
        found[name] = {key: value.clone() for key, value in state.items()}
    return found


class _Touched(Callback):
    """Compares every decoder before and after every step."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._before: dict[str, dict[str, torch.Tensor]] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StageModule)
        self._before = _state(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StageModule)
        assert isinstance(batch, Batch)
        after = _state(trainer, pl_module)
        for name in HEADS:
            before, now = self._before[name], after[name]
            same = before.keys() == now.keys() and all(torch.equal(before[key], now[key]) for key in before)
            if name in batch.targets:
                assert not same, f"{name} has samples at step {batch_idx} and did not move"
            else:
                assert same, f"{name} has no sample at step {batch_idx} and moved"
            known = "known" if any(key.startswith("optimiser") for key in before) else "new"
            self.counts[name, f"{'moved' if name in batch.targets else 'kept'} {known}"] += 1


@pytest.mark.parametrize(
    ("mode", "optimiser"),
    [
        (BatchMode.FIXED, {}),
        (BatchMode.MIXED, {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.5, "ema": 0.9}),
    ],
)
def test_decoders_without_samples_keep_their_bits(
    store: Store, tmp_path: Path, tiny: NetworkConfig, mode: BatchMode, optimiser: dict[str, Any]
) -> None:
    """Parameters, running statistics and the optimiser's state, through fit as it is, step by step."""
    config = TrainConfig(
        name="touched",
        store=str(store.path),
        stages=(StageConfig(heads=HEADS, steps=STEPS, lr=1e-2, **optimiser),),
        network=tiny,
        sampler=SamplerParams(2, mode, segmentation_prob=0.6),
        crops=CropParams(crop_px=48, border_weights=False),
        validation=ValidationConfig(images=1),
        workers=0,
        seed=24,
    )
    touched = _Touched()
    fit(config, tmp_path, (touched,), device="cpu")
    for name in HEADS:  # both cases were seen, the second with a momentum that could have moved it
        assert touched.counts[name, "moved known"], (name, touched.counts)
        assert touched.counts[name, "kept known"], (name, touched.counts)
