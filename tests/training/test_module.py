from __future__ import annotations

import copy
from dataclasses import replace

import torch

from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.batches import Batch, BatchDataset, CropParams
from histocerb.data.sampler import BatchMode, SamplerParams, TaskSampler
from histocerb.data.store import Store
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network, module_name
from histocerb.training.config import StageConfig
from histocerb.training.losses import patch_loss
from histocerb.training.module import StageModule

HEADS = tuple(head.name for head in CERBERUS.heads if head.kind is not HeadKind.TYPE)
TYPES = tuple(head.name for head in CERBERUS.heads if head.kind is HeadKind.TYPE)


def _module(tiny: NetworkConfig, *, freeze: bool = False) -> StageModule:
    torch.manual_seed(0)
    stage = StageConfig(heads=TYPES if freeze else HEADS, steps=10, freeze=freeze)
    module = StageModule(Network(CERBERUS, tiny), stage, {"gland.instance": 1.4}, seed=0)
    module.on_train_start()
    return module


def _batch(
    store: Store, heads: tuple[str, ...], step: int = 0, *, fixed: bool = False, size: int = 4
) -> Batch:
    spec = CERBERUS.only(heads)
    params = SamplerParams(size, BatchMode.FIXED if fixed else BatchMode.MIXED)
    crops = CropParams(crop_px=64)
    return BatchDataset(store, TaskSampler(store, None, params, spec), 0, crops, spec)[step]


def _segmentation_batch(store: Store, *, fixed: bool) -> Batch:
    for step in range(50):
        batch = _batch(store, HEADS, step, fixed=fixed)
        if "tissue.patch" not in batch.targets:
            return batch
    raise AssertionError("no segmentation batch in 50 steps")


def test_decoders_without_samples_stay_bit_identical(store: Store, tiny: NetworkConfig) -> None:
    module = _module(tiny)
    parameters = list(module.network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    for _ in range(2):  # every optimiser state exists before the step that counts
        for step in range(12):
            optimizer.zero_grad()
            torch.stack(list(module.losses(_batch(store, HEADS, step)).values())).sum().backward()
            optimizer.step()
    batch = _segmentation_batch(store, fixed=True)
    (trained,) = batch.targets
    before = copy.deepcopy(module.network.state_dict())
    states = {id(p): copy.deepcopy(optimizer.state[p]) for p in parameters if p in optimizer.state}
    optimizer.zero_grad()
    torch.stack(list(module.losses(batch).values())).sum().backward()
    optimizer.step()
    after = module.network.state_dict()
    for name in HEADS:
        prefix = f"decoders.{module_name(name)}."
        same = [torch.equal(before[key], after[key]) for key in after if key.startswith(prefix)]
        assert same
        assert all(same) is (name != trained)
        if name != trained:
            for parameter in module.network.decoders[module_name(name)].parameters():
                old, new = states[id(parameter)], optimizer.state[parameter]
                assert all(torch.equal(torch.as_tensor(old[k]), torch.as_tensor(new[k])) for k in old)
    assert not torch.equal(before["encoder.conv1.weight"], after["encoder.conv1.weight"])


def test_mixed_batch_is_the_weighted_sum_of_its_tasks(store: Store, tiny: NetworkConfig) -> None:
    module = _module(tiny)
    module.network.eval()  # running statistics, so that a sample does not see its neighbours
    batch = _segmentation_batch(store, fixed=False)
    assert len(batch.targets) > 1

    def gradient(heads: tuple[str, ...]) -> torch.Tensor:
        module.network.zero_grad()
        losses = module.losses(batch)
        weights = module.loss_weights
        sum((weights.get(name, 1.0) * losses[name] for name in heads), torch.zeros(())).backward()
        grad = module.network.encoder.conv1.weight.grad
        assert grad is not None
        return grad.clone()

    names = tuple(batch.targets)
    parts = sum((gradient((name,)) for name in names), torch.zeros(()))
    torch.testing.assert_close(gradient(names), parts, rtol=1e-4, atol=1e-6)


def test_samples_without_a_target_do_not_move_its_loss(store: Store, tiny: NetworkConfig) -> None:
    module = _module(tiny)
    module.network.eval()
    batch = _segmentation_batch(store, fixed=False)
    name, target = next(iter(batch.targets.items()))
    absent = ~target.present
    assert absent.any()
    images = batch.images.clone()
    images[absent] = 255 - images[absent]
    changed = Batch(batch.step, images, batch.targets, batch.tasks, batch.indices)
    torch.testing.assert_close(module.losses(batch)[name], module.losses(changed)[name], rtol=0, atol=0)


def test_subtyping_moves_only_its_decoders(store: Store, tiny: NetworkConfig) -> None:
    module = _module(tiny, freeze=True)
    optimizer = module.configure_optimizers()["optimizer"]  # type: ignore[index, call-overload]
    before = copy.deepcopy(module.network.state_dict())
    for step in range(3):
        optimizer.zero_grad()
        torch.stack(list(module.losses(_batch(store, TYPES, step)).values())).sum().backward()
        optimizer.step()
    prefixes = tuple(f"decoders.{module_name(name)}." for name in TYPES)
    after = module.network.state_dict()
    for key, value in after.items():
        if key.endswith("weight") and key.startswith(prefixes):
            assert not torch.equal(before[key], value), key
        if not key.startswith(prefixes):
            assert torch.equal(before[key], value), key


def test_the_cell_within_a_patchs_context_is_classified(store: Store, tiny: NetworkConfig) -> None:
    (name,) = (head.name for head in CERBERUS.heads if head.kind is HeadKind.PATCH)
    stage = StageConfig(heads=(name,), steps=1)
    module = StageModule(Network(CERBERUS, tiny), stage, {}, seed=0).eval()
    params = SamplerParams(3, segmentation_prob=0.0)
    sampler = TaskSampler(store, None, params)
    batch = BatchDataset(store, sampler, 0, CropParams(patch_margin_px=48))[0]
    logits = module.network(batch.images.float(), margin_px=48)[name]
    expected = patch_loss(logits, batch.targets[name].values)
    torch.testing.assert_close(module.losses(batch)[name], expected)


def test_a_batch_without_targets_changes_nothing(store: Store, tiny: NetworkConfig) -> None:
    module = _module(tiny, freeze=True)
    batch = _segmentation_batch(store, fixed=False)
    loss = module.training_step(Batch(0, batch.images, {}, batch.tasks, batch.indices), 0)
    loss.backward()
    assert loss.item() == 0
    assert all(parameter.grad is None for parameter in module.network.parameters())


def test_the_loss_of_a_branch_moves_its_layer_and_not_the_decoder_below(
    store: Store, tiny: NetworkConfig
) -> None:
    layered = replace(tiny, branches={"nuclei.type": "nuclei.instance"})
    stage = StageConfig(heads=("nuclei.type",), steps=3, freeze=True)
    module = StageModule(Network(CERBERUS, layered), stage, {}, seed=0)
    module.on_train_start()
    optimizer = module.configure_optimizers()["optimizer"]  # type: ignore[index, call-overload]
    before = copy.deepcopy(module.network.state_dict())
    for step in range(2):
        optimizer.zero_grad()
        module.training_step(_batch(store, ("nuclei.type",), step), step).backward()
        optimizer.step()
    moved = {key for key, value in module.network.state_dict().items() if not torch.equal(before[key], value)}
    assert moved
    assert all(key.startswith("decoders.nuclei_type.") for key in moved)


def test_what_follows_a_loss_reads_no_value_either(store: Store, tiny: NetworkConfig) -> None:
    """Tensors on the meta device have none: what would make the host wait for a GPU fails there."""
    heads = ("gland.instance",)
    spec = CERBERUS.only(heads)
    stage = StageConfig(heads=heads, steps=4, ema=0.9, optimizer="adamw", weight_decay=0.1)
    module = StageModule(Network(spec, tiny).to("meta"), stage, {}, seed=0)
    module.on_train_start()
    optimizer = module.configure_optimizers()["optimizer"]  # type: ignore[index, call-overload]
    module.training_step(_batch(store, heads).to("meta"), 0).backward()
    torch.nn.utils.clip_grad_norm_(list(module.parameters()), 1.0)
    optimizer.step()
    assert module.mean is not None
    module.mean.update()
    assert set(module.mean.steps.values()) == {1}
    assert module.sums.heads == heads
