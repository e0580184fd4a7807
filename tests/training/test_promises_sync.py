"""No part of a training step asks the host for a value, so that nothing ever waits for a GPU.

Fake tensors have shapes and a device but no values: whatever looks at one (`item`, `nonzero`, `if loss > 0`,
indexing with a mask) fails. Everything but the kernels is the code of a real step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.batches import Batch, BatchDataset, CropParams
from histocerb.data.sampler import SamplerParams, TaskSampler
from histocerb.data.store import Store
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network
from histocerb.training.config import StageConfig
from histocerb.training.losses import SubtypingForm
from histocerb.training.module import StageModule

HEADS = tuple(head.name for head in CERBERUS.heads)
TYPES = tuple(head.name for head in CERBERUS.heads if head.kind is HeadKind.TYPE)


def _batch(store: Store, heads: tuple[str, ...], share: float) -> Batch:
    spec = CERBERUS.only(heads)
    sampler = TaskSampler(store, None, SamplerParams(5, segmentation_prob=share), spec)
    return BatchDataset(store, sampler, 0, CropParams(crop_px=48), spec)[0]


def _without_values(batch: Batch, mode: FakeTensorMode) -> Batch:
    targets = {}
    for name, target in batch.targets.items():
        tensors = {field.name: getattr(target, field.name) for field in fields(target)}
        fakes = {key: mode.from_tensor(value) for key, value in tensors.items() if value is not None}
        targets[name] = replace(target, **fakes)
    return replace(batch, images=mode.from_tensor(batch.images), targets=targets)


@pytest.mark.parametrize(
    ("heads", "share", "form"),
    [
        (HEADS, 1.0, "masked_ce_dice"),
        (HEADS, 0.0, "masked_ce_dice"),
        (TYPES, 1.0, "ce_dice"),
        (TYPES, 1.0, "ce"),
    ],
)
def test_a_training_step_looks_at_no_value(
    store: Store, tiny: NetworkConfig, heads: tuple[str, ...], share: float, form: SubtypingForm
) -> None:
    batch = _batch(store, heads, share)
    assert batch.targets
    with FakeTensorMode() as mode:
        stage = StageConfig(heads=heads, steps=10, freeze=heads == TYPES)
        network = Network(CERBERUS.only(heads), tiny)
        module = StageModule(network, stage, {"lumen.instance": 2.0}, seed=0, subtyping=form)
        module.on_train_start()
        loss = module.training_step(_without_values(batch, mode), 0)
        loss.backward()
    assert isinstance(loss, FakeTensor)
    decoders = [f"network.decoders.{name.replace('.', '_')}." for name in batch.targets]
    reached = [name for name, p in module.named_parameters() if isinstance(p.grad, FakeTensor)]
    assert all(any(name.startswith(decoder) for name in reached) for decoder in decoders)


@pytest.mark.parametrize(
    "look",
    [
        lambda loss: loss.item(),
        lambda loss: loss.nonzero(),
        lambda loss: bool(loss > 0),
        lambda loss: loss[loss > 0],
        lambda loss: loss.tolist(),
    ],
)
def test_looking_at_a_value_is_noticed(look: Callable[[torch.Tensor], object]) -> None:
    with FakeTensorMode(), pytest.raises(RuntimeError):
        look(torch.ones(3).sum(0, keepdim=True))
