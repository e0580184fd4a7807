"""What a network costs: parameters, multiply-adds, memory that training needs.

Computed on torch's meta device, where tensors have shapes and no values: nothing is run.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from histocerb.models.network import Network


def parameters(network: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: Network, side_px: int, heads: Collection[str] | None = None) -> int:
    """Multiplications with addition in the convolutions of one forward pass over one image.

    Args:
        network: where it lies does not matter.
        side_px: side of the image, a multiple of 16.
        heads: heads to compute, default all.
    """
    shape = _shape_of(network)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        shape(torch.zeros(1, 3, side_px, side_px, device="meta"), heads=heads)
    return int(counter.get_total_flops()) // 2


def activation_bytes(network: Network, batch: int, side_px: int, heads: Collection[str] | None = None) -> int:
    """Memory that a forward pass in training keeps for its backward pass, float32.

    Every head sees every sample, and the encoder learns: an upper bound for mixed batches and frozen stages.
    Losses, gradients, the optimiser and what a backward pass needs for a moment come on top.
    """
    shape = _shape_of(network).train()
    fixed = {id(tensor.untyped_storage()) for tensor in (*shape.parameters(), *shape.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[id(storage)] = storage
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        shape(torch.zeros(batch, 3, side_px, side_px, device="meta"), heads=heads)
    return sum(storage.nbytes() for key, storage in kept.items() if key not in fixed)


def _shape_of(network: Network) -> Network:
    with torch.device("meta"):
        return Network(network.spec, network.config).eval()
