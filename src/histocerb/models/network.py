"""The network: one shared encoder, one decoder per head (or a layer on the decoder of another head)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from histocerb.core.errors import UsageError
from histocerb.core.tasks import Head, HeadKind, TaskSpec
from histocerb.models.config import STRIDE, NetworkConfig
from histocerb.models.decoder import Branch, PatchDecoder, PixelDecoder
from histocerb.models.encoder import make_encoder


def module_name(head_name: str) -> str:
    """Name of a head's decoder among the modules of a network (where dots are not allowed)."""
    return head_name.replace(".", "_")


class Features(NamedTuple):
    """What the encoder says about an image batch.

    Attributes:
        levels: features, finest first (see `encoder`).
        projected: the deepest one after the projection that all pixel decoders share.
        images: what it saw, values 0..1, for decoders that look at the pixels.
    """

    levels: list[Tensor]
    projected: Tensor
    images: Tensor

    def select(self, index: Tensor) -> Features:
        """Features of some samples only."""
        return Features([level[index] for level in self.levels], self.projected[index], self.images[index])


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
        _check_branches(spec, config.branches)
        _check_detail(spec, config)
        self.encoder = make_encoder(config.encoder)
        self.project = nn.Conv2d(config.encoder.widths[-1], config.pixel_widths[-1], 1, bias=False)
        self.decoders = nn.ModuleDict()
        for head in spec.heads:
            self.decoders[module_name(head.name)] = _decoder(head, config)

    def encode(self, images: Tensor) -> Features:
        """Features of an image batch N x 3 x H x W, float32 RGB 0..255; sides must be multiples of 16."""
        height, width = images.shape[-2:]
        if height % STRIDE or width % STRIDE:
            fit = tuple(-(-side // STRIDE) * STRIDE for side in (height, width))
            raise UsageError(
                f"image sides must be multiples of {STRIDE} px, got {height} x {width}; "
                f"pad to {fit[0]} x {fit[1]}"
            )
        scaled = images / 255.0
        levels = self.encoder(scaled)
        return Features(levels, self.project(levels[-1]), scaled)

    def decode(self, head_name: str, features: Features, margin_px: int = 0) -> Tensor:
        """Logits of one head from encoder features; a branch runs the decoder that it is on."""
        return self._decode(head_name, features, margin_px, {})

    def _decode(
        self, head_name: str, features: Features, margin_px: int, trunks: dict[str, Tensor]
    ) -> Tensor:
        """Logits of one head; `trunks` keeps what branches share with the decoder that they are on."""
        decoder = self.decoders[module_name(head_name)]
        if isinstance(decoder, PatchDecoder):
            logits: Tensor = decoder(features.levels[-1], margin_px)
        else:
            owner = self.config.branches.get(head_name, head_name)
            if owner not in trunks:
                trunks[owner] = self._trunk(owner, features)
            logits = decoder(trunks[owner])
        return logits

    def _trunk(self, head_name: str, features: Features) -> Tensor:
        decoder = self.decoders[module_name(head_name)]
        assert isinstance(decoder, PixelDecoder), "branches are on decoders"
        return decoder.trunk(features.projected, features.levels, features.images)

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
        trunks: dict[str, Tensor] = {}
        return {name: self._decode(name, features, margin_px, trunks) for name in names}


def _decoder(head: Head, config: NetworkConfig) -> nn.Module:
    channels = len(head.channels)
    if head.kind is HeadKind.PATCH:
        return PatchDecoder(config, channels)
    if head.name in config.branches:
        return Branch(config, channels)
    return PixelDecoder(config, channels, detail=head.name in config.detail)


def _check_detail(spec: TaskSpec, config: NetworkConfig) -> None:
    """Who looks at the pixels is a pixel head with a decoder of its own."""
    own = [head.name for head in spec.heads if head.kind is not HeadKind.PATCH]
    own = [name for name in own if name not in config.branches]
    for name in config.detail:
        if name not in own:
            raise UsageError(
                f"detail is for pixel heads with a decoder of their own ({', '.join(own)}), found {name!r}; "
                "name one of them"
            )


def _check_branches(spec: TaskSpec, branches: Mapping[str, str]) -> None:
    """Every branch is a pixel head on the decoder of another pixel head, which is no branch itself."""
    pixels = [head.name for head in spec.heads if head.kind is not HeadKind.PATCH]
    for name, owner in branches.items():
        for head in (name, owner):
            if head not in pixels:
                raise UsageError(
                    f"branches join pixel heads of the tasks ({', '.join(pixels)}), found {head!r}; "
                    "name one of them"
                )
        if name == owner:
            raise UsageError(f"a branch is on another head's decoder, found {name!r} on itself; leave it out")
        if owner in branches:
            raise UsageError(
                f"a branch is on a head with a decoder of its own, found {name!r} on {owner!r}, which is a "
                f"branch of {branches[owner]!r}; name that one"
            )
