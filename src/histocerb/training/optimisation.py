"""How weights move: the optimiser of a stage and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import Parameter

from histocerb.training.config import StageConfig

_COSINE_WARMUP = 0.03
_COSINE_END = 0.01


def make_optimizer(stage: StageConfig, parameters: Sequence[Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a stage.

    Parameters without a gradient are left alone, with their state, also by weight decay.
    """
    filters = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": list(parameters)}]
    if stage.weight_decay:
        groups = [{"params": filters, "weight_decay": stage.weight_decay}, {"params": others}]
    if stage.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=stage.lr, weight_decay=0.0)
    return torch.optim.Adam(groups, lr=stage.lr)


def lr_factor(stage: StageConfig, step: int) -> float:
    """Share of the stage's learning rate at a step."""
    warm_up = _warm_up(stage)
    if step < warm_up:
        return (step + 1) / warm_up
    if stage.schedule == "constant":
        return 1.0
    if stage.schedule == "step":
        return 1.0 if step * 9 < stage.steps * 7 else 0.1
    done = min(1.0, (step - warm_up) / max(1, stage.steps - warm_up))
    return _COSINE_END + (1 - _COSINE_END) * 0.5 * (1 + math.cos(math.pi * done))


def _warm_up(stage: StageConfig) -> int:
    """Steps in which the learning rate rises."""
    cosine = stage.schedule == "cosine"
    share = (_COSINE_WARMUP if cosine else 0.0) if stage.warmup is None else stage.warmup
    return max(int(cosine), round(share * stage.steps))
