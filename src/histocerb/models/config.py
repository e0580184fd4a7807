"""What a network is made of, as plain data that is saved beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from histocerb.core.config_file import STRICT
from histocerb.core.errors import UsageError

STRIDE = 16
"""Pixels per feature at the bottom of every encoder; a tissue cell is 9 x 9 features."""

WIDTH_STEP = 16
"""Widths are multiples of it: with others, torch 2.13's gradient of strided 1x1 convolutions corrupts memory
on CPUs (channels-last layout)."""

LITE0_BLOCKS = (2, 2, 10)
LITE0_WIDTHS = (24, 40, 192)
"""Of EfficientNet-lite0, per halving of the resolution; see `efficientnet`."""


@dataclass(frozen=True)
class EncoderConfig:
    """A ResNet, the contracting half of a U-Net, or EfficientNet-lite0.

    Attributes:
        blocks: residual blocks per stage (U-Net: pairs of 3x3 convolutions per level below the first, which
            has one pair); each stage halves the resolution.
        widths: channels of the stem (U-Net: of the first level), then of every stage.
        stem_stride: 1 as in the paper (four stages), or 2 for light ResNets (three stages): the deepest
            features have stride 16 in both.
        kind: `resnet`, `unet`, or `efficientnet`, of which only `widths[0]` is free.
        block: of a ResNet: `basic` (two 3x3 convolutions, ResNet-18 and 34) or `bottleneck` (1x1, 3x3, 1x1,
            ResNet-50), which convolves at a quarter of its width.
    """

    __pydantic_config__ = STRICT

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 64, 128, 256, 512)
    stem_stride: int = 1
    kind: Literal["resnet", "unet", "efficientnet"] = "resnet"
    block: Literal["basic", "bottleneck"] = "basic"

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) + 1:
            raise UsageError(
                f"an encoder of {len(self.blocks)} stages needs {len(self.blocks) + 1} widths, "
                f"got {len(self.widths)}"
            )
        if min(self.blocks, default=0) < 1:
            raise UsageError(f"an encoder needs stages of at least 1 block, got {list(self.blocks)}")
        _check_widths("encoder widths", self.widths[:1])
        if self.kind == "efficientnet":
            self._check_lite0()
        else:
            _check_widths("encoder widths", self.widths[1:], 4 if self.block == "bottleneck" else 1)
        stem_stride = 2 if self.kind == "efficientnet" else 1
        if self.kind != "resnet" and (self.block != "basic" or self.stem_stride != stem_stride):
            raise UsageError(
                f"the {self.kind} encoder has stem stride {stem_stride} and no residual blocks, got stem "
                f"stride {self.stem_stride} and block {self.block}; change them"
            )
        stride = self.stem_stride * 2 ** len(self.blocks)
        if stride != STRIDE:
            raise UsageError(
                f"the deepest features must have stride {STRIDE}; stem stride {self.stem_stride} and "
                f"{len(self.blocks)} stages give {stride}"
            )

    def _check_lite0(self) -> None:
        if self.blocks != LITE0_BLOCKS or self.widths[1:] != LITE0_WIDTHS:
            raise UsageError(
                f"EfficientNet-lite0 has blocks {list(LITE0_BLOCKS)} and, after the first, widths "
                f"{list(LITE0_WIDTHS)}; got {list(self.blocks)} and {list(self.widths[1:])}"
            )


@dataclass(frozen=True)
class NetworkConfig:
    """An encoder, and the widths of what follows it.

    Attributes:
        encoder: the shared encoder.
        head_width: channels between the two 1x1 convolutions of a pixel head.
        patch_width: channels between the two layers of the patch head.
        dropout: rate in the patch head.
        decoder_widths: channels of the pixel decoders at the resolution of each encoder feature but the
            deepest, finest first; none: as wide as those features. Where they differ, a decoder takes the
            feature through a 1x1 convolution.
        subpixel: behind a stem of stride 2, pixel heads say each of the 2 x 2 pixels of a place, not one that
            is upsampled.
        branches: pixel heads without a decoder of their own, and the head at the end of whose decoder they
            are an extra layer (`{"nuclei.type": "nuclei.instance"}` is the paper's Pixel_A; none: Pixel_B).
        detail: behind a stem of stride 2, pixel heads whose decoders look at the pixels, too
            (`decoder.Detail`): for objects so small that the finest features of a light encoder say little of
            them.
    """

    __pydantic_config__ = STRICT

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    head_width: int = 96
    patch_width: int = 256
    dropout: float = 0.3
    decoder_widths: tuple[int, ...] | None = None
    subpixel: bool = False
    branches: Mapping[str, str] = field(default_factory=dict)
    detail: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        levels = len(self.encoder.blocks)
        if len(self.pixel_widths) != levels:
            raise UsageError(
                f"decoders on an encoder of {levels} stages need {levels} widths, "
                f"got {len(self.pixel_widths)}"
            )
        _check_widths("decoder widths", self.pixel_widths)
        for name, chosen in (("subpixel", self.subpixel), ("detail", self.detail)):
            if chosen and self.encoder.stem_stride == 1:
                raise UsageError(f"{name} heads need a stem of stride 2, got 1; leave {name} out")

    @property
    def pixel_widths(self) -> tuple[int, ...]:
        """Channels of the pixel decoders at each resolution, finest first."""
        return self.encoder.widths[:-1] if self.decoder_widths is None else self.decoder_widths


def _check_widths(what: str, widths: tuple[int, ...], parts: int = 1) -> None:
    step = WIDTH_STEP * parts
    odd = next((width for width in widths if width % step or width <= 0), None)
    if odd is not None:
        raise UsageError(f"{what} must be multiples of {step}, got {odd}")


_LIGHT = (64, 64, 128, 256)
"""Decoder widths of ResNet-34, for encoders with wider features."""

RESNET18 = NetworkConfig(EncoderConfig(blocks=(2, 2, 2, 2)))
RESNET34 = NetworkConfig()
"""The paper's network."""
RESNET50 = NetworkConfig(
    EncoderConfig(widths=(64, 256, 512, 1024, 2048), block="bottleneck"), decoder_widths=_LIGHT
)
UNET = NetworkConfig(
    EncoderConfig(blocks=(1, 1, 1, 1), widths=(64, 128, 256, 512, 1024), kind="unet"), decoder_widths=_LIGHT
)
"""The paper's baseline: a U-Net encoder with batch normalisation, with the decoders of ResNet-34."""
SMALL = NetworkConfig(
    EncoderConfig(blocks=(1, 2, 3, 4), widths=(16, 32, 48, 96, 192)), head_width=32, patch_width=96
)
"""The light network that ships with the package."""

LITE0 = NetworkConfig(
    EncoderConfig(LITE0_BLOCKS, widths=(32, *LITE0_WIDTHS), stem_stride=2, kind="efficientnet"),
    head_width=32,
    patch_width=96,
    decoder_widths=(32, 48, 96),
    subpixel=True,
)
"""As light, on EfficientNet-lite0, for which there are ImageNet weights."""

NETWORKS: dict[str, NetworkConfig] = {
    "resnet18": RESNET18,
    "resnet34": RESNET34,
    "resnet50": RESNET50,
    "unet": UNET,
    "small": SMALL,
    "lite0": LITE0,
}
