from __future__ import annotations

import copy

import torch
from torch import nn

from histocerb.training.ema import WeightMean


def _parts() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {name: nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)) for name in ("moved", "still")}


def _step(part: nn.Module) -> None:
    """Another weight, other running statistics, and a gradient as after an optimiser step."""
    part(torch.randn(3, 1, 4, 4))
    for parameter in part.parameters():
        parameter.grad = torch.ones_like(parameter)
        parameter.data.add_(torch.randn_like(parameter))


def test_the_mean_is_the_recursion() -> None:
    parts = _parts()
    mean = WeightMean(parts, decay=0.9)
    expected = copy.deepcopy(parts["moved"].state_dict())
    for n in range(30):
        _step(parts["moved"])
        mean.update()
        decay = min(0.9, (1 + n) / (10 + n))
        for key, value in parts["moved"].state_dict().items():
            floating = value.is_floating_point()
            expected[key] = decay * expected[key] + (1 - decay) * value if floating else value.clone()
    mean.apply()
    for key, value in parts["moved"].state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)


def test_a_part_without_a_gradient_keeps_its_bits() -> None:
    """Also when its mean lags behind its weights."""
    parts = _parts()
    mean = WeightMean(parts, decay=0.9)
    for part in parts.values():
        _step(part)
    mean.update()
    before = copy.deepcopy(mean.values["still"])
    assert not torch.equal(before["0.weight"], parts["still"].state_dict()["0.weight"])
    for parameter in parts["still"].parameters():
        parameter.grad = None
    _step(parts["moved"])
    mean.update()
    assert all(torch.equal(value, mean.values["still"][key]) for key, value in before.items())


def test_inside_applied_the_mean_outside_the_own_bits() -> None:
    parts = _parts()
    mean = WeightMean(parts, decay=0.9)
    _step(parts["moved"])
    mean.update()
    own = copy.deepcopy(parts["moved"].state_dict())
    with mean.applied():
        for key, value in parts["moved"].state_dict().items():
            assert torch.equal(value, mean.values["moved"][key])
        assert not torch.equal(parts["moved"].state_dict()["0.weight"], own["0.weight"])
    assert all(torch.equal(own[key], value) for key, value in parts["moved"].state_dict().items())


def test_goes_on_where_its_state_was_taken() -> None:
    parts = _parts()
    mean = WeightMean(parts, decay=0.9)
    _step(parts["moved"])
    mean.update()
    other = WeightMean(parts, decay=0.9)
    other.load(copy.deepcopy(mean.state()))
    _step(parts["moved"])
    mean.update()
    other.update()
    assert other.steps == mean.steps == {"moved": 2, "still": 0}
    for key, value in mean.values["moved"].items():
        assert torch.equal(value, other.values["moved"][key])
