"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from histocerb.models.network import Network


def parameters(network: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: Network, side_px: int, heads: Collection[str] | None = None) -> int:
    """Multiplications with addition in the convolutions of one forward pass over one image.

    Counted on torch's meta device, where tensors have shapes and no values: nothing is run.

    Args:
        network: where it lies does not matter.
        side_px: side of the image, a multiple of 16.
        heads: heads to compute, default all.
    """
    with torch.device("meta"):
        shape = Network(network.spec, network.config).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        shape(torch.zeros(1, 3, side_px, side_px, device="meta"), heads=heads)
    return int(counter.get_total_flops()) // 2
