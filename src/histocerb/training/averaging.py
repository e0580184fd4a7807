"""The mean of the weights at the ends of several stages (Izmailov et al. 2018).

Each stage of a cyclic schedule ends near another optimum; there, their mean was better on new data than each
of them. It costs nothing at use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from histocerb.core.errors import UsageError
from histocerb.models.checkpoint import load_checkpoint
from histocerb.training.config import TrainConfig


def check_averages(config: TrainConfig) -> None:
    """There are as many ends as a stage wants the mean of; the start counts where it is a trained model.

    Raises:
        UsageError: there are fewer, or the start lacks heads that are trained until then.
    """
    for number, stage in enumerate(config.stages, start=1):
        ends = number + (config.start_from is not None)
        if stage.average_last > ends:
            raise UsageError(
                f"expected an average_last of at most {ends} for stage {number} (start_from counts as one), "
                f"found {stage.average_last}; lower it"
            )
        if stage.average_last > number and config.start_from is not None:
            known = {head.name for head in load_checkpoint(config.start_from).network.spec.heads}
            new = {name for before in config.stages[:number] for name in before.heads} - known
            if new:
                raise UsageError(
                    f"expected start_from to have the heads whose mean is taken, found it without "
                    f"{', '.join(sorted(new))}; lower average_last of stage {number}"
                )


def mean_of(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of the states of one network, running statistics included; counts are those of the last."""
    mean = dict(states[-1])
    for name, last in mean.items():
        if last.is_floating_point():
            total = torch.stack([state[name].cpu().double() for state in states]).mean(0)
            mean[name] = total.to(last.dtype)
    return mean
