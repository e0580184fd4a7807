"""What a batch teaches: only what its samples are labelled for, and of every task its weighted share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.batches import Batch, BatchDataset, CropParams
from histocerb.data.sampler import SamplerParams, TaskSampler
from histocerb.data.store import Store
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network, module_name
from histocerb.training.config import StageConfig
from histocerb.training.module import StageModule

PATCH = next(head.name for head in CERBERUS.heads if head.kind is HeadKind.PATCH)
HEADS = tuple(head.name for head in CERBERUS.heads)
WEIGHTS = {"nuclei.instance": 0.5, "gland.instance": 1.4, "gland.type": 3.0}


def _module(tiny: NetworkConfig) -> StageModule:
    """All heads, the encoder too; running statistics, so that a sample does not see its neighbours."""
    torch.manual_seed(0)
    module = StageModule(Network(CERBERUS, tiny), StageConfig(heads=HEADS, steps=10), WEIGHTS, seed=0)
    module.on_train_start()
    for part in module.network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    module.network.eval()
    return module


@pytest.fixture(scope="module")
def mixed(store: Store) -> Batch:
    """A mixed batch with all three object tasks, some of them with several samples."""
    dataset = BatchDataset(
        store, TaskSampler(store, None, SamplerParams(6, segmentation_prob=1.0)), 0, CropParams(crop_px=48)
    )
    return next(batch for step in range(50) if len(set((batch := dataset[step]).tasks)) == 3)


def _cut(batch: Batch, rows: Collection[int], heads: Collection[str]) -> Batch:
    """These samples of a batch with their targets for these heads."""
    targets = {}
    for name in heads:
        target = batch.targets[name]
        places = [place for place, row in enumerate(rows) if row in target.rows.tolist()]
        weights = None if target.weights is None else target.weights[list(rows)]
        targets[name] = replace(
            target, values=target.values[list(rows)], rows=torch.tensor(places), weights=weights
        )
    tasks = tuple(batch.tasks[row] for row in rows)
    return Batch(batch.step, batch.images[list(rows)], targets, tasks, batch.indices[list(rows)])


def _gradients(module: StageModule, batch: Batch) -> dict[str, Tensor]:
    """Of the loss that training minimises, per parameter; parameters that it does not reach are left out."""
    module.zero_grad(set_to_none=True)
    module.training_step(batch, 0).backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def test_a_mixed_batch_is_the_sum_of_fixed_ones(tiny: NetworkConfig, mixed: Batch) -> None:
    """Its gradient is that of its nuclei alone, plus that of its glands alone, plus that of its lumina alone.

    Each alone is a batch without the other samples, as the fixed mode would make it.
    """
    module = _module(tiny)
    together = _gradients(module, mixed)
    total: dict[str, Tensor] = {}
    for task in ("nuclei", "gland", "lumen"):
        rows = [row for row, drawn in enumerate(mixed.tasks) if drawn == task]
        heads = [name for name in mixed.targets if name.startswith(task)]
        for name, gradient in _gradients(module, _cut(mixed, rows, heads)).items():
            total[name] = total.get(name, torch.zeros(())) + gradient
    assert together.keys() == total.keys()
    for name, gradient in together.items():
        assert gradient.norm() > 0
        torch.testing.assert_close(total[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


def test_the_loss_is_the_sum_of_the_heads_times_their_weights(tiny: NetworkConfig, mixed: Batch) -> None:
    module = _module(tiny)
    losses = module.losses(mixed)
    assert losses.keys() == mixed.targets.keys() == set(HEADS) - {PATCH}
    expected = sum(WEIGHTS.get(name, 1.0) * float(loss.detach()) for name, loss in losses.items())
    assert float(module.training_step(mixed, 0).detach()) == pytest.approx(expected, rel=1e-6)
    one = _gradients(module, _cut(mixed, range(6), ["gland.instance"]))
    module.loss_weights = {"gland.instance": 2.8}
    two = _gradients(module, _cut(mixed, range(6), ["gland.instance"]))
    assert all(torch.equal(two[name], 2 * one[name]) for name in one)  # a power of two: exact


@pytest.mark.parametrize("missing", ["nuclei", "gland", "lumen"])
def test_an_absent_target_has_no_loss_and_no_gradient(
    tiny: NetworkConfig, mixed: Batch, missing: str
) -> None:
    """Exactly: its decoders have no gradients, and the image of a sample without a target has gradient 0."""
    module = _module(tiny)
    left = [name for name in mixed.targets if not name.startswith(missing)]
    batch = _cut(mixed, range(6), left)
    images = batch.images.float().requires_grad_()
    batch = replace(batch, images=images)
    losses = module.losses(batch)
    assert losses.keys() == set(left)
    gradients = _gradients(module, batch)
    gone = tuple(
        f"network.decoders.{module_name(name)}." for name in HEADS if name.startswith((missing, "tissue"))
    )
    assert not [name for name in gradients if name.startswith(gone)]
    assert images.grad is not None
    for row, task in enumerate(mixed.tasks):
        assert bool(images.grad[row].any()) is (task != missing)


def test_what_fills_the_places_of_absent_targets_does_not_count(tiny: NetworkConfig, mixed: Batch) -> None:
    """Other values, weights and images there: the same loss and gradients, to the bit."""
    module = _module(tiny)
    for name, target in mixed.targets.items():
        absent = ~target.present
        assert absent.any()
        values = target.values.clone()
        values[absent] = 1
        weights = None if target.weights is None else target.weights.clone()
        if weights is not None:
            weights[absent] = 1e6
        images = mixed.images.clone()
        images[absent] = 255 - images[absent]
        filled = replace(target, values=values, weights=weights)
        alone = replace(mixed, targets={name: target})
        other = replace(mixed, targets={name: filled}, images=images)
        assert torch.equal(module.losses(alone)[name], module.losses(other)[name])
        one, two = _gradients(module, alone), _gradients(module, other)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_decoder_does_not_see_samples_without_its_target(tiny: NetworkConfig, mixed: Batch) -> None:
    """Nor do its running statistics: whatever is on the other images, they move the same."""
    found = []
    for invert in (False, True):
        module = _module(tiny)
        name = "gland.instance"
        decoder = module.network.decoders[module_name(name)].train()
        images = mixed.images.clone()
        if invert:
            images[~mixed.targets[name].present] ^= 255
        before = {key: value.clone() for key, value in decoder.state_dict().items()}
        loss = module.losses(replace(mixed, images=images, targets={name: mixed.targets[name]}))[name]
        after = decoder.state_dict()
        assert [key for key in after if "running" in key and torch.equal(before[key], after[key])] == []
        found.append((loss.detach(), after))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(value, found[1][1][key]) for key, value in found[0][1].items())
