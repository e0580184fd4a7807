from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from histocerb.training.config import StageConfig
from histocerb.training.optimisation import lr_factor, make_optimizer

HEADS = ("gland.instance",)


def _factors(stage: StageConfig) -> np.ndarray:
    return np.array([lr_factor(stage, step) for step in range(stage.steps)])


def test_the_papers_schedule_is_the_default() -> None:
    paper = StageConfig(heads=HEADS, steps=90_000)
    assert [lr_factor(paper, step) for step in (0, 69_999, 70_000, 89_999)] == [1, 1, 0.1, 0.1]


def test_cosine_rises_for_three_percent_and_falls_to_one() -> None:
    factors = _factors(StageConfig(heads=HEADS, steps=1000, schedule="cosine"))
    assert factors.argmax() == pytest.approx(30, abs=1)
    assert (np.diff(factors[:30]) > 0).all()
    assert (np.diff(factors[31:]) < 0).all()
    assert factors[-1] == pytest.approx(0.01, abs=1e-3)


@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
def test_warmup_is_a_share_of_the_steps(schedule: str) -> None:
    factors = _factors(StageConfig(heads=HEADS, steps=200, schedule=schedule, warmup=0.1))
    np.testing.assert_allclose(factors[:20], np.arange(1, 21) / 20)
    assert factors[20] == pytest.approx(1)
    assert (np.diff(factors[20:]) <= 0).all()


def test_constant_stays() -> None:
    assert set(_factors(StageConfig(heads=HEADS, steps=50, schedule="constant"))) == {1.0}


def _after_a_step(optimizer: str, weight_decay: float, *, gradient: float) -> nn.BatchNorm2d | nn.Conv2d:
    layers = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    for parameter in layers.parameters():
        nn.init.constant_(parameter, 2.0)
        parameter.grad = torch.full_like(parameter, gradient)
    stage = StageConfig(heads=HEADS, steps=1, lr=0.1, optimizer=optimizer, weight_decay=weight_decay)
    make_optimizer(stage, list(layers.parameters())).step()
    return layers


def test_adamw_shrinks_filters_and_nothing_else() -> None:
    layers = _after_a_step("adamw", 0.5, gradient=0.0)
    assert layers[0].weight.item() == pytest.approx(2 * (1 - 0.1 * 0.5))
    assert [layers[0].bias.item(), layers[1].weight.item(), layers[1].bias.item()] == [2, 2, 2]


def test_weight_decay_of_adam_is_part_of_the_gradient() -> None:
    layers = _after_a_step("adam", 0.5, gradient=0.0)  # any gradient makes a first step of lr
    assert layers[0].weight.item() == pytest.approx(1.9)
    assert layers[0].bias.item() == 2


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_no_gradient_no_step(optimizer: str) -> None:
    layer = nn.Conv2d(1, 1, 1)
    before = copy.deepcopy(layer.state_dict())
    stage = StageConfig(heads=HEADS, steps=1, optimizer=optimizer, weight_decay=0.5)
    chosen = make_optimizer(stage, list(layer.parameters()))
    chosen.step()
    assert not chosen.state
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())
