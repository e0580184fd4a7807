"""What a network is made of, as plain data that is saved beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from histocerb.core.config_file import STRICT
from histocerb.core.errors import UsageError

STRIDE = 16
"""Pixels per feature at the bottom of every encoder; a tissue cell is 9 x 9 features."""

WIDTH_STEP = 16
"""Widths are multiples of it: with others, torch 2.13's gradient of strided 1x1 convolutions corrupts memory
on CPUs (channels-last layout)."""


@dataclass(frozen=True)
class EncoderConfig:
    """A ResNet of basic blocks.

    Attributes:
        blocks: basic blocks per stage; each stage halves the resolution.
        widths: channels of the stem, then of every stage.
        stem_stride: 1 as in the paper (four stages), or 2 for light networks (three stages): the
            deepest features have stride 16 in both.
    """

    __pydantic_config__ = STRICT

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 64, 128, 256, 512)
    stem_stride: int = 1

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) + 1:
            raise UsageError(
                f"an encoder of {len(self.blocks)} stages needs {len(self.blocks) + 1} widths, "
                f"got {len(self.widths)}"
            )
        odd = next((width for width in self.widths if width % WIDTH_STEP or width <= 0), None)
        if odd is not None:
            raise UsageError(f"encoder widths must be multiples of {WIDTH_STEP}, got {odd}")
        stride = self.stem_stride * 2 ** len(self.blocks)
        if stride != STRIDE:
            raise UsageError(
                f"the deepest features must have stride {STRIDE}; stem stride {self.stem_stride} and "
                f"{len(self.blocks)} stages give {stride}"
            )


@dataclass(frozen=True)
class NetworkConfig:
    """An encoder, and the widths of what follows it.

    Attributes:
        encoder: the shared encoder.
        head_width: channels between the two 1x1 convolutions of a pixel head.
        patch_width: channels between the two layers of the patch head.
        dropout: rate in the patch head.
    """

    __pydantic_config__ = STRICT

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    head_width: int = 96
    patch_width: int = 256
    dropout: float = 0.3


RESNET18 = NetworkConfig(EncoderConfig(blocks=(2, 2, 2, 2)))
RESNET34 = NetworkConfig()
"""The paper's network."""
SMALL = NetworkConfig(
    EncoderConfig(blocks=(2, 3, 4), widths=(32, 48, 96, 192), stem_stride=2), head_width=48, patch_width=96
)
"""The light network that ships with the package."""

NETWORKS: dict[str, NetworkConfig] = {"resnet18": RESNET18, "resnet34": RESNET34, "small": SMALL}
