"""The stream of batches: a function of store, sampler, seed, step and parameters, and of nothing else."""

from __future__ import annotations

import random
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from histocerb.core.tasks import CELL_PX, CERBERUS, HeadKind
from histocerb.data.augment import AugmentParams
from histocerb.data.batches import Batch, BatchDataset, CropParams, HeadTarget, loader
from histocerb.data.sampler import BatchMode, SamplerParams, TaskSampler
from histocerb.data.store import Store

PATCH_HEADS = {head.name for head in CERBERUS.heads if head.kind is HeadKind.PATCH}
STEPS = 7
CROPS = CropParams(crop_px=32, augment=AugmentParams(ink_prob=0.5))

samplers = st.builds(
    SamplerParams,
    batch_size=st.integers(1, 6),
    mode=st.sampled_from(BatchMode),
    segmentation_prob=st.floats(0, 1),
)
crops = st.builds(
    CropParams,
    crop_px=st.sampled_from((16, 48)),
    patch_margin_px=st.sampled_from((0, 16)),
    contour=st.booleans(),
    border_weights=st.booleans(),
    all_labels=st.booleans(),
)


def _dataset(store: Store, params: SamplerParams, crop: CropParams = CROPS, seed: int = 5) -> BatchDataset:
    return BatchDataset(store, TaskSampler(store, None, params), seed, crop)


def _content(batch: Batch) -> dict[str, object]:
    """Everything in a batch, tensors as bytes."""
    found: dict[str, object] = {}
    for field in fields(Batch):
        value = getattr(batch, field.name)
        found[field.name] = _bytes(value) if isinstance(value, torch.Tensor) else value
    found["targets"] = {
        head: {
            field.name: None if (value := getattr(target, field.name)) is None else _bytes(value)
            for field in fields(HeadTarget)
        }
        for head, target in batch.targets.items()
    }
    return found


def _bytes(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.contiguous().numpy().tobytes()


@pytest.fixture(scope="module")
def unbroken(store: Store) -> list[dict[str, object]]:
    dataset = _dataset(store, SamplerParams(4))
    return [_content(dataset[step]) for step in range(STEPS)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_gives_the_same_bytes(
    store: Store, unbroken: list[dict[str, object]], workers: int
) -> None:
    found = loader(_dataset(store, SamplerParams(4)), range(STEPS), workers=workers)
    assert [_content(batch) for batch in found] == unbroken
    assert {bool(set(batch["targets"]) & PATCH_HEADS) for batch in unbroken} == {True, False}


@pytest.mark.parametrize("done", range(1, STEPS))
def test_resuming_at_any_step_gives_the_rest(
    store: Store, unbroken: list[dict[str, object]], done: int
) -> None:
    rest = loader(_dataset(store, SamplerParams(4)), range(done, STEPS), workers=0)
    assert [_content(batch) for batch in rest] == unbroken[done:]


@pytest.mark.parametrize(("done", "workers"), [(1, 2), (4, 1), (6, 2)])
def test_resuming_with_another_number_of_workers_gives_the_rest(
    store: Store, unbroken: list[dict[str, object]], done: int, workers: int
) -> None:
    rest = loader(_dataset(store, SamplerParams(4)), range(done, STEPS), workers=workers)
    assert [_content(batch) for batch in rest] == unbroken[done:]


@given(step=st.integers(0, 2**31), params=samplers, crop=crops)
@settings(max_examples=20, deadline=None)
def test_a_batch_needs_and_moves_no_generator_of_the_process(
    store: Store, step: int, params: SamplerParams, crop: CropParams
) -> None:
    batches = []
    for state in (1, 2):
        random.seed(state)
        np.random.seed(state)  # noqa: NPY002 - the generator that must not be used
        torch.manual_seed(state)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        batches.append(_content(_dataset(store, params, crop)[step]))
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        assert before == after
    assert batches[0] == batches[1]


@given(step=st.integers(0, 2**31), params=samplers, crop=crops)
@example(step=0, params=SamplerParams(6, segmentation_prob=1.0), crop=CropParams(crop_px=48))
@example(step=1, params=SamplerParams(6, segmentation_prob=1.0), crop=CropParams(crop_px=48, all_labels=True))
@example(step=2, params=SamplerParams(6, BatchMode.FIXED, 1.0), crop=CropParams(crop_px=48))
@example(step=3, params=SamplerParams(6, segmentation_prob=0.0), crop=CropParams())
@settings(max_examples=25, deadline=None)
def test_composition(store: Store, step: int, params: SamplerParams, crop: CropParams) -> None:
    """Patches and crops never share a batch; a fixed batch has one task; what has a target was asked for."""
    batch = _dataset(store, params, crop)[step]
    is_patch = bool(set(batch.targets) & PATCH_HEADS)
    assert len(batch.tasks) == len(batch.images) == len(batch.indices) == params.batch_size
    assert {task == "tissue" for task in batch.tasks} == {is_patch}
    assert (set(batch.targets) <= PATCH_HEADS) is is_patch
    side = CELL_PX + 2 * crop.patch_margin_px if is_patch else crop.crop_px
    assert batch.images.shape[1:] == (3, side, side)
    if params.mode is BatchMode.FIXED:
        assert len(set(batch.tasks)) == 1
    for head, target in batch.targets.items():
        task = head.split(".")[0]
        assert target.rows.dtype == torch.int64
        drawn_for = [row for row, drawn in enumerate(batch.tasks) if drawn == task]
        rows = target.rows.tolist()
        assert rows
        if head.endswith("type"):  # what is drawn for a task may lack its types
            assert set(rows) <= set(range(params.batch_size) if crop.all_labels else drawn_for)
        elif crop.all_labels and not is_patch:
            assert set(drawn_for) <= set(rows)
        else:
            assert rows == drawn_for
        absent = [row for row in range(params.batch_size) if row not in rows]
        assert not target.values[absent].any()
        assert target.weights is None or not target.weights[absent].any()


def test_another_seed_is_another_stream(store: Store, unbroken: list[dict[str, object]]) -> None:
    other = _dataset(store, SamplerParams(4), seed=6)
    assert all(_content(other[step])["images"] != unbroken[step]["images"] for step in range(STEPS))
    assert len({batch["images"] for batch in unbroken}) == STEPS
