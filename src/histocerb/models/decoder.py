"""Decoders: from encoder features to the logits of one head."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from histocerb.core.tasks import CELL_PX
from histocerb.models.config import STRIDE, NetworkConfig

CELL_FEATURES = CELL_PX // STRIDE
"""A tissue cell is 9 x 9 features."""


class ConvBlock(nn.Module):
    """Convolution with bias, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """N x in x H x W to N x channels x H x W."""
        return F.relu(self.bn(self.conv(x)))


class PixelDecoder(nn.Module):
    """U-Net style decoder: upsample by 2, add the encoder's feature, two convolutions; then the head.

    It takes the deepest feature after its projection to `widths[-2]` channels (shared by all pixel decoders).
    """

    def __init__(self, config: NetworkConfig, channels: int) -> None:
        super().__init__()
        skips = list(config.encoder.widths[-2::-1])
        outputs = [*skips[1:], skips[-1]]
        self.steps = nn.ModuleList(
            nn.Sequential(ConvBlock(skip, skip, 3), ConvBlock(skip, out, 3))
            for skip, out in zip(skips, outputs, strict=True)
        )
        self.head = nn.Sequential(
            ConvBlock(skips[-1], config.head_width, 1), nn.Conv2d(config.head_width, channels, 1)
        )
        self.stem_stride = config.encoder.stem_stride

    def forward(self, deepest: Tensor, features: list[Tensor]) -> Tensor:
        """Logits N x channels x H x W at the resolution of the image."""
        out = deepest
        for step, skip in zip(self.steps, features[-2::-1], strict=True):
            out = step(_upsample(out, 2) + skip)
        logits: Tensor = self.head(out)
        return logits if self.stem_stride == 1 else _upsample(logits, self.stem_stride)


def _upsample(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)


class PatchDecoder(nn.Module):
    """Classifies every cell of 144 x 144 px from the deepest feature."""

    def __init__(self, config: NetworkConfig, channels: int) -> None:
        super().__init__()
        width = config.encoder.widths[-1]
        self.bn1 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(config.dropout)
        self.conv1 = nn.Conv2d(width, config.patch_width, 1)
        self.bn2 = nn.BatchNorm2d(config.patch_width)
        self.conv2 = nn.Conv2d(config.patch_width, channels, 1)

    def forward(self, deepest: Tensor, margin_px: int) -> Tensor:
        """Logits N x channels x rows x columns of the whole cells inside the margin.

        Cells begin at feature `margin_px // 16`: with the margin of 152 px at feature 9, as the central
        9 x 9 features of a 448 px window do.
        """
        first = margin_px // STRIDE
        rows, columns = ((size * STRIDE - 2 * margin_px) // CELL_PX for size in deepest.shape[-2:])
        if rows <= 0 or columns <= 0:
            return deepest.new_zeros(deepest.shape[0], self.conv2.out_channels, 0, 0)
        inner = deepest[:, :, first : first + rows * CELL_FEATURES, first : first + columns * CELL_FEATURES]
        pooled = F.avg_pool2d(inner, CELL_FEATURES)
        hidden = self.conv1(self.dropout(F.relu(self.bn1(pooled))))
        logits: Tensor = self.conv2(F.relu(self.bn2(hidden)))
        return logits
