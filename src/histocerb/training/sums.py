"""Losses added up where they are made, so that looking at them seldom does not cost a wait at every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, distributed

from histocerb.core.errors import HistocerbError


class LossSums:
    """Sum and number of the losses of each head since they were last read.

    Where several processes share each batch, each adds its share of a loss, and all read at the same step.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads that had samples."""
        return tuple(sorted(self._sums))

    def add(self, head: str, loss: Tensor) -> None:
        """Add a loss; nothing waits for its value."""
        value = loss.detach()
        self._sums[head] = self._sums[head] + value if head in self._sums else value
        self._counts[head] = self._counts.get(head, 0) + 1

    def means(self, step: int) -> dict[str, float]:
        """Mean over the batches in which a head had samples. Waits for the device.

        Raises:
            HistocerbError: a mean is not finite.
        """
        heads = self.heads
        if not heads:
            return {}
        sums = torch.stack([self._sums[head] for head in heads])
        if distributed.is_initialized():
            distributed.all_reduce(sums)
        means = {head: total / self._counts[head] for head, total in zip(heads, sums.tolist(), strict=True)}
        broken = [head for head, value in means.items() if not math.isfinite(value)]
        if broken:
            raise HistocerbError(
                f"the loss of {' and '.join(broken)} is not finite at step {step}; lower the learning rate, "
                "set clip_norm or warmup in the stage, or look at the data with `histocerb data check`"
            )
        return means

    def clear(self) -> None:
        """Begin anew."""
        self._sums.clear()
        self._counts.clear()
