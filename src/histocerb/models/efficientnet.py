"""EfficientNet-lite0 as an encoder: light, and to be had with ImageNet weights (Tan and Le 2019).

Its finest feature has stride 2 and 16 channels: little for the edge of a nucleus of 10 px. Two plain
convolutions on the pixels of each 2 x 2 place add channels to it. Modules have timm's names
(`tf_efficientnet_lite0`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from histocerb.models.config import EncoderConfig
from histocerb.models.layers import ConvBlock

EXPANSION = 6
"""Inner channels of an inverted residual block per input channel."""
STEM = 32
EPSILON = 1e-3
"""Of batch normalisation, as the weights were trained."""


class Group(NamedTuple):
    """Consecutive blocks of one width; the first of them may halve the resolution."""

    blocks: int
    width: int
    kernel: int
    stride: int
    dilation: int = 1


LITE0 = (
    Group(1, 16, 3, 1),
    Group(2, 24, 3, 2),
    Group(2, 40, 5, 2),
    Group(3, 80, 3, 2),
    Group(3, 112, 5, 1),
    Group(4, 192, 5, 1, dilation=2),
)
"""Up to stride 16; the blocks of 192 channels, of stride 32 in the classifier, are dilated instead."""


class DepthwiseSeparable(nn.Module):
    """Depthwise and 1x1 convolution: the first block."""

    def __init__(self, in_channels: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = _depthwise(in_channels, kernel)
        self.bn1 = nn.BatchNorm2d(in_channels, EPSILON)
        self.conv_pw = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """N x in x H x W to N x channels x H x W."""
        out: Tensor = self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)))))
        return out


class InvertedResidual(nn.Module):
    """1x1 convolution to more channels, depthwise, 1x1 to fewer; a shortcut where shapes agree."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        inner = in_channels * EXPANSION
        self.conv_pw = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner, EPSILON)
        self.conv_dw = _depthwise(inner, kernel, stride, dilation)
        self.bn2 = nn.BatchNorm2d(inner, EPSILON)
        self.conv_pwl = nn.Conv2d(inner, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels, EPSILON)
        self.shortcut = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """N x in x H x W to N x channels x H/stride x W/stride."""
        inner = F.relu6(self.bn1(self.conv_pw(x)))
        inner = F.relu6(self.bn2(_convolved(self.conv_dw, inner)))
        out: Tensor = self.bn3(self.conv_pwl(inner))
        return out + x if self.shortcut else out


class EfficientNetEncoder(nn.Module):
    """The blocks of EfficientNet-lite0, and two convolutions beside the first."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        fine = config.widths[0] - LITE0[0].width
        self.fine = nn.Sequential(nn.PixelUnshuffle(2), ConvBlock(12, fine, 3), ConvBlock(fine, fine, 3))
        self.conv_stem = nn.Conv2d(3, STEM, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM, EPSILON)
        self.blocks = nn.ModuleList()
        channels = STEM
        for group in LITE0:
            self.blocks.append(_blocks(channels, group))
            channels = group.width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features, finest first; see the docstring of `encoder`."""
        x = 2 * x - 1  # as the weights were trained
        out = F.relu6(self.bn1(self.conv_stem(x)))
        features = []
        for blocks, group in zip(self.blocks, LITE0, strict=True):
            if group.stride == 2:
                features.append(out)
            out = blocks(out)
        features[0] = torch.cat([features[0], self.fine(x)], 1)
        return [*features, out]


def _blocks(channels: int, group: Group) -> nn.Sequential:
    if channels == STEM:
        return nn.Sequential(DepthwiseSeparable(channels, group.width, group.kernel))
    first = InvertedResidual(channels, group.width, group.kernel, group.stride)
    rest = [
        InvertedResidual(group.width, group.width, group.kernel, dilation=group.dilation)
        for _ in range(group.blocks - 1)
    ]
    return nn.Sequential(first, *rest)


def _depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False)


def _convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The convolution; dilated by 2, in training, one without dilation on every second row and column.

    The values are the same, the gradient takes a quarter of the time: libraries have no fast one of dilated
    depthwise convolutions.
    """
    count, channels, height, width = x.shape
    if conv.dilation != (2, 2) or not conv.training or height % 2 or width % 2:
        out: Tensor = conv(x)
        return out
    rows = x.permute(0, 2, 3, 1).reshape(count, height // 2, 2, width // 2, 2, channels)
    parts = rows.permute(0, 2, 4, 1, 3, 5).reshape(count * 4, height // 2, width // 2, channels)
    padding = conv.kernel_size[0] // 2
    parts = F.conv2d(parts.permute(0, 3, 1, 2), conv.weight, padding=padding, groups=channels)
    rows = parts.permute(0, 2, 3, 1).reshape(count, 2, 2, height // 2, width // 2, channels)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(count, height, width, channels).permute(0, 3, 1, 2)
