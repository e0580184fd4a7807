"""The network with what follows it on the device: only small arrays leave, and they are final."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histocerb.core.tasks import Head, HeadKind
from histocerb.models.network import Network

FULL_SCALE = 255.0
"""Quantised value of probability 1."""


class WindowHeads(nn.Module):
    """Network, margin cut off, softmax, quantisation or arg-max.

    One tensor per head, in the order of `heads`:

    - quantised: instance heads H x W x 2 uint8 (inside, contour); type heads H x W uint8 (arg-max);
      patch heads rows x columns x C float32;
    - not quantised: H x W x C float32 probabilities of every channel.

    Attributes:
        heads: the heads of the network, in order.
    """

    def __init__(self, network: Network, margin_px: int, *, quantised: bool) -> None:
        super().__init__()
        self.network = network
        self.heads: tuple[Head, ...] = network.spec.heads
        self.margin_px = margin_px
        self.quantised = quantised

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images 1 x H x W x 3 uint8; see the class for what comes back."""
        planes = images.permute(0, 3, 1, 2).to(torch.float32)
        logits = self.network(planes, margin_px=self.margin_px)
        return tuple(self._finish(head, logits[head.name]) for head in self.heads)

    def _finish(self, head: Head, logits: Tensor) -> Tensor:
        if head.kind is not HeadKind.PATCH:
            logits = self._centre(logits)
        if self.quantised and head.kind is HeadKind.TYPE:
            return logits[0].argmax(dim=0).to(torch.uint8)
        probabilities = torch.softmax(logits[0].to(torch.float32), dim=0)
        if self.quantised and head.kind is HeadKind.INSTANCE:
            return torch.round(probabilities[1:] * FULL_SCALE).to(torch.uint8).permute(1, 2, 0)
        return probabilities.permute(1, 2, 0)

    def _centre(self, maps: Tensor) -> Tensor:
        margin = self.margin_px
        return maps[:, :, margin:-margin, margin:-margin] if margin else maps
