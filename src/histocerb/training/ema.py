"""The running mean of the weights of a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightMean:
    """Exponential running mean of the state of parts of a network: mean <- d mean + (1 - d) value.

    A part whose parameters got no gradient is left alone: the mean of a decoder is one over the steps that
    moved it, and stays bit-identical in all others. The running statistics of batch normalisation are
    averaged like weights. In its first steps a mean follows faster, min(d, (1 + n) / (10 + n)) after n
    steps, so that it forgets where the stage began.
    """

    def __init__(self, parts: Mapping[str, nn.Module], decay: float) -> None:
        self.parts = dict(parts)
        self.decay = decay
        self.steps = dict.fromkeys(self.parts, 0)
        self.values = {
            name: {key: value.detach().clone() for key, value in part.state_dict().items()}
            for name, part in self.parts.items()
        }

    def to(self, device: torch.device) -> None:
        """Keep the mean on that device."""
        for values in self.values.values():
            values.update({key: value.to(device) for key, value in values.items()})

    def update(self) -> None:
        """Take in the weights after an optimiser step, whose gradients must still be there."""
        with torch.no_grad():
            for name, part in self.parts.items():
                if any(parameter.grad is not None for parameter in part.parameters()):
                    self._update(name, part)

    def _update(self, name: str, part: nn.Module) -> None:
        steps = self.steps[name]
        weight = 1 - min(self.decay, (1 + steps) / (10 + steps))
        for key, value in part.state_dict().items():
            mean = self.values[name][key]
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)
        self.steps[name] = steps + 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The parts have the mean inside, and their own bits again outside."""
        own = {
            name: {key: value.clone() for key, value in part.state_dict().items()}
            for name, part in self.parts.items()
        }
        self.apply()
        try:
            yield
        finally:
            _fill(self.parts, own)

    def apply(self) -> None:
        """Give the mean to the parts for good."""
        _fill(self.parts, self.values)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"steps": dict(self.steps), "values": self.values}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.steps = {name: int(state["steps"][name]) for name in self.parts}
        for name, values in self.values.items():
            for key, value in values.items():
                value.copy_(state["values"][name][key])


def _fill(parts: Mapping[str, nn.Module], states: Mapping[str, Mapping[str, Tensor]]) -> None:
    with torch.no_grad():
        for name, part in parts.items():
            for key, value in part.state_dict().items():
                value.copy_(states[name][key])
