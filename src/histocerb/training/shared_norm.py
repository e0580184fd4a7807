"""Batch normalisation over the samples of several processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _Total(torch.autograd.Function):
    """The sum of a tensor over all processes."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of the samples of all processes.

    What torch's SyncBatchNorm does on GPUs, for processors. A process without samples takes part with none.
    """

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W of any N, also 0, to the same."""
        if not self.training:
            return super().forward(x)
        values, axes = x.float(), (0, 2, 3)
        per_channel = values.new_full((1,), values.numel() / values.shape[1])
        sums: Tensor = _Total.apply(torch.cat([values.sum(axes), per_channel]))  # type: ignore[no-untyped-call]
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean[:, None, None]
        variance: Tensor = _Total.apply(centred.square().sum(axes))  # type: ignore[no-untyped-call]
        variance = variance / count
        self._remember(mean.detach(), (variance * count / (count - 1)).detach())
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class _Shuffle(nn.PixelShuffle):
    """Takes a batch of no samples, too, for which torch's gradient has the wrong shape."""

    def forward(self, x: Tensor) -> Tensor:
        """N x C r^2 x H x W of any N to N x C x H r x W r."""
        if len(x):
            return super().forward(x)
        r = self.upscale_factor
        return x.reshape(0, x.shape[1] // r**2, x.shape[2] * r, x.shape[3] * r)


def share(module: nn.Module, *, norm: bool) -> None:
    """Make everything below `module` fit for processes that share batches; its state stays.

    Args:
        module: changed in place.
        norm: batch normalisation gets the statistics of all processes (on GPUs Lightning does that).
    """
    for name, child in module.named_children():
        if isinstance(child, nn.PixelShuffle):
            module.add_module(name, _Shuffle(child.upscale_factor))
        elif norm and isinstance(child, nn.BatchNorm2d) and not isinstance(child, SharedBatchNorm):
            module.add_module(name, _shared(child))
        else:
            share(child, norm=norm)


def _shared(norm: nn.BatchNorm2d) -> SharedBatchNorm:
    """The same with the same tensors."""
    shared = SharedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    shared.weight, shared.bias = norm.weight, norm.bias
    shared.running_mean, shared.running_var = norm.running_mean, norm.running_var
    shared.num_batches_tracked = norm.num_batches_tracked
    return shared.train(norm.training)
