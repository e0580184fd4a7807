"""Losses per head.

Each is the mean over the samples that it is given; a sample without the target of a head is never given to it
and so contributes exactly 0 (paper eq. 1). Nothing here waits for a value on the host.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

DICE_SMOOTHING = 1e-3

SubtypingForm = Literal["ce", "ce_dice", "masked_ce_dice"]
"""Forms of the subtyping loss (paper Table 7)."""


def instance_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of background, inside and contour, weighted per pixel.

    Args:
        logits: N x C x H x W.
        target: N x H x W int64 channel numbers.
        weight: N x H x W float32 border weights, or None for 1 everywhere.

    Returns:
        Scalar: mean over pixels, then over samples.
    """
    loss = F.cross_entropy(logits, target, reduction="none")
    return (loss if weight is None else loss * weight).mean()


def patch_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of one class per patch: logits N x C x 1 x 1, target N int64."""
    return F.cross_entropy(logits.flatten(1), target)


def subtyping_loss(
    logits: Tensor, target: Tensor, members: Tensor, form: SubtypingForm = "masked_ce_dice"
) -> Tensor:
    """Which class the object at a pixel has; in three forms (paper Table 7).

    - `ce`: cross-entropy, averaged over all pixels; outside objects channel 0 (none) is right.
    - `ce_dice`: the same, and Dice over all pixels.
    - `masked_ce_dice`: cross-entropy inside objects, averaged over the pixels of each label and summed over
      the labels present, and Dice over the pixels inside objects (eq. 2-4).

    A label may be a class or a group of classes; the probability of a group is the sum of its members'. Dice
    is summed over the classes, without channel 0; pixels whose label is a group do not count in it. Objects
    of no known class count in no form: give them a label without members (as 0 they would count as outside
    objects in the first two). In eq. 4 as printed the intersection is a sum; the product is meant and
    computed.

    Args:
        logits: N x K x H x W, channel 0 is `none`.
        target: N x H x W int64, rows of `members`; 0 is outside objects.
        members: G x K bool, members[g, k] says that label g includes channel k; row 0 is empty.
        form: see above.
    """
    masked = form == "masked_ce_dice"
    right = members if masked else _with_background(members)
    counted = right.any(1)
    pixels = _pixels_per_label(target, len(members)) * counted
    log_probs = logits.log_softmax(1)
    weight = counted.to(log_probs.dtype) / (pixels if masked else pixels.sum()).clamp_min(1)
    loss = -(_log_likelihood(log_probs, target, right) * weight[target]).sum()
    return loss if form == "ce" else loss + _dice(log_probs.exp(), target, right)


def _with_background(members: Tensor) -> Tensor:
    right = members.clone()
    right[0, 0] = True
    return right


def _pixels_per_label(target: Tensor, labels: int) -> Tensor:
    """G int64, by comparison: counting with bincount would wait for the device."""
    numbers = torch.arange(labels, device=target.device)
    return (target.flatten() == numbers[:, None]).sum(1)


def _log_likelihood(log_probs: Tensor, target: Tensor, right: Tensor) -> Tensor:
    """Log of the probability of all channels that are right for a pixel, N x H x W; 0 where none is."""
    wrong = ~right & right.any(1, keepdim=True)
    return log_probs.masked_fill(wrong[target].movedim(-1, 1), -torch.inf).logsumexp(1)


def _dice(probs: Tensor, target: Tensor, right: Tensor) -> Tensor:
    """Sum over classes of 1 - Dice, over the pixels whose label is a single channel."""
    single = right.sum(1) == 1
    inside = single[target].unsqueeze(1)
    truth = (right & single[:, None])[target].movedim(-1, 1)[:, 1:].to(probs.dtype)
    predicted = probs[:, 1:] * inside
    overlap = (truth * predicted).sum(dim=(0, 2, 3))
    total = truth.sum(dim=(0, 2, 3)) + predicted.sum(dim=(0, 2, 3))
    return (1 - (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)).sum()
