"""Losses per head.

Each is the mean over the samples that it is given; a sample without the target of a head is never given to it
and so contributes exactly 0 (paper eq. 1).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DICE_SMOOTHING = 1e-3


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


def subtyping_loss(logits: Tensor, target: Tensor, members: Tensor) -> Tensor:
    """Masked cross-entropy plus Dice inside the objects (paper eq. 2-4).

    A label may be a class or a group of classes; the probability of a group is the sum of its members'. The
    cross-entropy is averaged over the pixels of each label and summed over the labels present; Dice
    is over the pixels whose label is a single class. In eq. 4 as printed the intersection is a sum; the
    product is meant and computed.

    Args:
        logits: N x K x H x W, channel 0 is `none`.
        target: N x H x W int64, rows of `members`; 0 where nothing is known, which is left out.
        members: G x K bool, members[g, k] says that label g includes channel k; row 0 is empty.
    """
    probs = logits.softmax(1)
    known = F.one_hot(target, len(members)).movedim(-1, 1).to(probs.dtype)
    known = torch.cat([torch.zeros_like(known[:, :1]), known[:, 1:]], dim=1)
    return _masked_cross_entropy(probs, known, members) + _dice(probs, known, members)


def _masked_cross_entropy(probs: Tensor, known: Tensor, members: Tensor) -> Tensor:
    of_label = torch.einsum("nkhw,gk->nghw", probs, members.to(probs.dtype))
    log_likelihood = of_label.clamp_min(1e-7).log()
    pixels = known.sum(dim=(0, 2, 3))
    return -((log_likelihood * known).sum(dim=(0, 2, 3)) / pixels.clamp_min(1)).sum()


def _dice(probs: Tensor, known: Tensor, members: Tensor) -> Tensor:
    single = (members.sum(1) == 1).to(probs.dtype)
    truth = torch.einsum("nghw,gk->nkhw", known, members.to(probs.dtype) * single[:, None])[:, 1:]
    inside = truth.sum(1, keepdim=True)
    predicted = probs[:, 1:] * inside
    overlap = (truth * predicted).sum(dim=(0, 2, 3))
    total = truth.sum(dim=(0, 2, 3)) + predicted.sum(dim=(0, 2, 3))
    return (1 - (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)).sum()
