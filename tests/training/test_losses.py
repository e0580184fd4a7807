from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.training.losses import DICE_SMOOTHING, instance_loss, patch_loss, subtyping_loss


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
    [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 1]], dtype=torch.bool
)


def _slow(logits: np.ndarray, target: np.ndarray) -> float:
    exp = np.exp(logits - logits.max(1, keepdims=True))
    probs = exp / exp.sum(1, keepdims=True)
    members = MEMBERS.numpy()
    total = 0.0
    for label in range(1, len(members)):
        values = [
            -np.log(max(1e-7, probs[n, members[label], y, x].sum()))
            for n, y, x in np.argwhere(target == label)
        ]
        total += float(np.mean(values)) if values else 0.0
    single = (target >= 1) & (target <= 3)
    for k in (1, 2, 3):
        truth = target == k
        overlap = probs[:, k][truth].sum()
        total += 1 - (2 * overlap + DICE_SMOOTHING) / (
            truth.sum() + probs[:, k][single].sum() + DICE_SMOOTHING
        )
    return total


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_subtyping_loss_is_equations_2_to_4_with_groups(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 4, 5, 6))
    target = rng.integers(0, int(rng.integers(1, 6)), (2, 5, 6))
    loss = subtyping_loss(torch.from_numpy(logits), torch.from_numpy(target), MEMBERS)
    np.testing.assert_allclose(loss.item(), _slow(logits, target), rtol=1e-9)


def test_pixels_outside_objects_have_no_gradient() -> None:
    logits = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.zeros(1, 6, 6, dtype=torch.int64)
    target[0, 1:3, 1:3], target[0, 4, 4] = 1, 4
    subtyping_loss(logits, target, MEMBERS).backward()
    assert logits.grad is not None
    moved = logits.grad.abs().sum(1) > 0
    assert torch.equal(moved, target > 0)


def test_a_group_only_asks_for_one_of_its_members() -> None:
    target = torch.full((1, 4, 4), 4)
    for member in (2, 3):
        logits = torch.zeros(1, 4, 4, 4)
        logits[:, member] = 30.0
        loss = subtyping_loss(logits, target, MEMBERS)
        wrong = subtyping_loss(logits.roll(2 if member == 3 else 3, 1), target, MEMBERS)
        assert wrong - loss > 10
