"""The network: one shared encoder, one decoder per head."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor, nn

from histocerb.core.errors import UsageError
from histocerb.core.tasks import HeadKind, TaskSpec
from histocerb.models.config import STRIDE, NetworkConfig
from histocerb.models.decoder import PatchDecoder, PixelDecoder
from histocerb.models.encoder import Encoder


def module_name(head_name: str) -> str:
    """Name of a head's decoder among the modules of a network (where dots are not allowed)."""
    return head_name.replace(".", "_")


class Features(NamedTuple):
    """What the encoder says about an image batch.

    Attributes:
        levels: features, finest first (see `encoder`).
        projected: the deepest one after the projection that all pixel decoders share.
    """

    levels: list[Tensor]
    projected: Tensor

    def select(self, index: Tensor) -> Features:
        """Features of some samples only."""
        return Features([level[index] for level in self.levels], self.projected[index])


class Network(nn.Module):
    """Encoder -> decoders -> heads (paper section 3.1).

    Attributes:
        spec: what it predicts.
        config: what it is made of.
    """

    def __init__(self, spec: TaskSpec, config: NetworkConfig) -> None:
        super().__init__()
        self.spec = spec
        self.config = config
        widths = config.encoder.widths
        self.encoder = Encoder(config.encoder)
        self.project = nn.Conv2d(widths[-1], widths[-2], 1, bias=False)
        self.decoders = nn.ModuleDict()
        for head in spec.heads:
            decoder = PatchDecoder if head.kind is HeadKind.PATCH else PixelDecoder
            self.decoders[module_name(head.name)] = decoder(config, len(head.channels))

    def encode(self, images: Tensor) -> Features:
        """Features of an image batch N x 3 x H x W, float32 RGB 0..255; sides must be multiples of 16."""
        height, width = images.shape[-2:]
        if height % STRIDE or width % STRIDE:
            fit = tuple(-(-side // STRIDE) * STRIDE for side in (height, width))
            raise UsageError(
                f"image sides must be multiples of {STRIDE} px, got {height} x {width}; "
                f"pad to {fit[0]} x {fit[1]}"
            )
        levels = self.encoder(images / 255.0)
        return Features(levels, self.project(levels[-1]))

    def decode(self, head_name: str, features: Features, margin_px: int = 0) -> Tensor:
        """Logits of one head from encoder features."""
        decoder = self.decoders[module_name(head_name)]
        if isinstance(decoder, PatchDecoder):
            logits: Tensor = decoder(features.levels[-1], margin_px)
        else:
            logits = decoder(features.projected, features.levels)
        return logits

    def forward(
        self, images: Tensor, margin_px: int = 0, heads: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Logits per head.

        Args:
            images: N x 3 x H x W float32, RGB 0..255, H and W multiples of 16.
            margin_px: context around the part that will be kept; it only says where tissue cells begin.
            heads: names of the heads to compute, default all.

        Returns:
            Per head name: N x C x H x W for pixel heads (margin included), N x C x rows x columns of cells
            inside the margin for the patch head.
        """
        features = self.encode(images)
        names = [head.name for head in self.spec.heads if heads is None or head.name in heads]
        return {name: self.decode(name, features, margin_px) for name in names}
