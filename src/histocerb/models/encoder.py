"""The shared encoders: a ResNet without its classifier, the contracting half of a U-Net, EfficientNet-lite0.

Contract: an image batch N x 3 x H x W (values 0..1, H and W multiples of 16) becomes a list of features,
finest first. Feature 0 has stride `stem_stride` and `widths[0]` channels, feature i has stride
`stem_stride * 2**i` and `widths[i]` channels; the last one has stride 16.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from histocerb.models.config import EncoderConfig
from histocerb.models.efficientnet import EfficientNetEncoder
from histocerb.models.layers import BasicBlock, Bottleneck, ConvBlock


def make_encoder(config: EncoderConfig) -> nn.Module:
    """The encoder of that kind."""
    return KINDS[config.kind](config)


class ResNetEncoder(nn.Module):
    """Stem, then one stage per entry of `config.blocks`."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        stem = config.widths[0]
        block = Bottleneck if config.block == "bottleneck" else BasicBlock
        self.conv1 = nn.Conv2d(3, stem, 7, config.stem_stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.stages = nn.ModuleList()
        channels = stem
        for index, (count, width) in enumerate(zip(config.blocks, config.widths[1:], strict=True)):
            first = block(channels, width, stride=1 if index == 0 else 2)
            rest = [block(width, width, stride=1) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(first, *rest))
            channels = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features, finest first; see the module docstring."""
        features = [F.relu(self.bn1(self.conv1(x)))]
        out = self.maxpool(features[0])
        for stage in self.stages:
            out = stage(out)
            features.append(out)
        return features


class UNetEncoder(nn.Module):
    """Levels of 3x3 convolutions with batch normalisation, 2x2 max-pooling between them."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        channels = 3
        for count, width in zip((1, *config.blocks), config.widths, strict=True):
            inputs = [channels] + [width] * (2 * count - 1)
            self.levels.append(nn.Sequential(*(ConvBlock(given, width, 3) for given in inputs)))
            channels = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features, finest first; see the module docstring."""
        features: list[Tensor] = []
        for level in self.levels:
            x = level(F.max_pool2d(x, 2) if features else x)
            features.append(x)
        return features


KINDS: dict[str, type[nn.Module]] = {
    "resnet": ResNetEncoder,
    "unet": UNetEncoder,
    "efficientnet": EfficientNetEncoder,
}
