"""The shared encoder: a ResNet of basic blocks without its classifier.

Contract: an image batch N x 3 x H x W (values 0..1, H and W multiples of 16) becomes a list of features,
finest first. Feature 0 has stride `stem_stride` and `widths[0]` channels, feature i has stride
`stem_stride * 2**i` and `widths[i]` channels; the last one has stride 16.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from histocerb.models.config import EncoderConfig


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016); names as in torchvision."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x channels x H/stride x W/stride."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + shortcut)


class Encoder(nn.Module):
    """Stem, then one stage per entry of `config.blocks`."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        stem = config.widths[0]
        self.conv1 = nn.Conv2d(3, stem, 7, config.stem_stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.stages = nn.ModuleList()
        channels = stem
        for index, (count, width) in enumerate(zip(config.blocks, config.widths[1:], strict=True)):
            first = BasicBlock(channels, width, stride=1 if index == 0 else 2)
            rest = [BasicBlock(width, width, stride=1) for _ in range(count - 1)]
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
