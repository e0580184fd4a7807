from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.training.losses import (
    DICE_SMOOTHING,
    SubtypingForm,
    instance_loss,
    patch_loss,
    subtyping_loss,
)

FORMS: tuple[SubtypingForm, ...] = ("ce", "ce_dice", "masked_ce_dice")


def test_instance_loss_is_the_weighted_mean_over_pixels() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    target = torch.arange(40).reshape(2, 4, 5) % 3
    weight = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(1))
    log_p = logits.log_softmax(1)
    expected = [
        -log_p[n, target[n, y, x], y, x] * weight[n, y, x]
        for n in range(2)
        for y in range(4)
        for x in range(5)
    ]
    torch.testing.assert_close(instance_loss(logits, target, weight), torch.stack(expected).mean())
    ones = torch.ones_like(weight)
    torch.testing.assert_close(instance_loss(logits, target), instance_loss(logits, target, ones))


def test_patch_loss_is_cross_entropy() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])[:, :, None, None]
    expected = -(torch.tensor([[2.0, 0.0], [0.0, 1.0]]).log_softmax(1))[[0, 1], [0, 0]].mean()
    torch.testing.assert_close(patch_loss(logits, torch.tensor([0, 0])), expected)


MEMBERS = torch.tensor(
    [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=torch.bool
)
"""Outside, three classes, a group of two, unknown."""
CHANNELS = {0: [0], 1: [1], 2: [2], 3: [3], 4: [2, 3], 5: []}


def _slow(logits: np.ndarray, target: np.ndarray, form: SubtypingForm) -> float:
    """Pixel by pixel."""
    exp = np.exp(logits)
    probs = exp / exp.sum(1, keepdims=True)
    labels = [1, 2, 3, 4] if form == "masked_ce_dice" else [0, 1, 2, 3, 4]
    surprise = {
        label: [
            -np.log(sum(probs[n, k, y, x] for k in CHANNELS[label]))
            for n, y, x in np.argwhere(target == label)
        ]
        for label in labels
    }
    if form == "masked_ce_dice":
        total = float(sum(np.mean(values) for values in surprise.values() if values))
    else:
        total = float(np.mean([value for values in surprise.values() for value in values] or [0.0]))
    if form == "ce":
        return total
    inside = np.isin(target, [label for label in labels if label != 4])
    for k in (1, 2, 3):
        truth, predicted = (target == k)[inside], probs[:, k][inside]
        overlap, size = (truth * predicted).sum(), truth.sum() + predicted.sum()
        total += 1 - (2 * overlap + DICE_SMOOTHING) / (size + DICE_SMOOTHING)
    return total


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_subtyping_loss_is_the_slow_one(form: SubtypingForm, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 4, 5, 6))
    target = rng.choice(rng.permutation(6)[: rng.integers(1, 7)], (2, 5, 6))
    loss = subtyping_loss(torch.from_numpy(logits), torch.from_numpy(target), MEMBERS, form)
    np.testing.assert_allclose(loss.item(), _slow(logits, target, form), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("form", "silent"), [("ce", {5}), ("ce_dice", {5}), ("masked_ce_dice", {0, 5})])
def test_pixels_that_do_not_count_have_no_gradient(form: SubtypingForm, silent: set[int]) -> None:
    logits = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.zeros(1, 6, 6, dtype=torch.int64)
    target[0, 1:3, 1:3], target[0, 4, 4], target[0, 5] = 1, 4, 5
    subtyping_loss(logits, target, MEMBERS, form).backward()
    assert logits.grad is not None
    moved = logits.grad.abs().sum(1) > 0
    assert torch.equal(moved, ~torch.isin(target, torch.tensor(sorted(silent))))


@pytest.mark.parametrize("form", FORMS)
def test_without_a_known_pixel_the_classes_get_no_gradient(form: SubtypingForm) -> None:
    logits = torch.zeros(2, 4, 3, 3, requires_grad=True)
    loss = subtyping_loss(logits, torch.full((2, 3, 3), 5), MEMBERS, form)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("form", FORMS)
def test_a_group_only_asks_for_one_of_its_members(form: SubtypingForm) -> None:
    target = torch.full((1, 4, 4), 4)
    for member in (2, 3):
        logits = torch.zeros(1, 4, 4, 4)
        logits[:, member] = 30.0
        loss = subtyping_loss(logits, target, MEMBERS, form)
        wrong = subtyping_loss(logits.roll(2 if member == 3 else 3, 1), target, MEMBERS, form)
        assert wrong - loss > 10


def test_a_hopelessly_wrong_pixel_still_has_a_gradient() -> None:
    logits = torch.zeros(1, 4, 1, 1)
    logits[0, 0] = 60.0
    logits.requires_grad_()
    subtyping_loss(logits, torch.full((1, 1, 1), 4), MEMBERS).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0, :, 0, 0], torch.tensor([1.0, 0.0, -0.5, -0.5]))


def test_losses_never_wait_for_a_value() -> None:
    """Meta tensors have no values: whatever asks for one on the host raises."""

    def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device="meta")

    target, members = meta(2, 8, 8, dtype=torch.int64), meta(6, 4, dtype=torch.bool)
    logits = meta(2, 4, 8, 8).requires_grad_()
    patch = meta(2, 4, 1, 1).requires_grad_()
    losses = [
        instance_loss(logits, target, meta(2, 8, 8)),
        instance_loss(logits, target),
        patch_loss(patch, meta(2, dtype=torch.int64)),
        *(subtyping_loss(logits, target, members, form) for form in FORMS),
    ]
    torch.stack(losses).sum().backward()
    assert logits.grad is not None
    with pytest.raises((RuntimeError, NotImplementedError)):
        losses[0].item()
