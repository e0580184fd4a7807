"""Decoders: from encoder features to the logits of one head."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from histocerb.core.tasks import CELL_PX
from histocerb.models.config import STRIDE, NetworkConfig
from histocerb.models.layers import BasicBlock, ConvBlock

CELL_FEATURES = CELL_PX // STRIDE
"""A tissue cell is 9 x 9 features."""

DETAIL_WIDTHS = 32, 64
"""Channels of `Detail` at strides 2 and 4."""


def pixel_head(config: NetworkConfig, channels: int) -> nn.Sequential:
    """From the last feature of a pixel decoder to logits N x channels x H x W as fine as the image.

    Behind a stem of stride s, logits are upsampled; with `config.subpixel` there are s x s of them per place
    (sub-pixel convolution, Shi et al. 2016).
    """
    stride = config.encoder.stem_stride
    outputs = channels * stride**2 if config.subpixel else channels
    layers: list[nn.Module] = [
        ConvBlock(config.pixel_widths[0], config.head_width, 1),
        nn.Conv2d(config.head_width, outputs, 1),
    ]
    if config.subpixel:
        layers.append(nn.PixelShuffle(stride))
    elif stride > 1:
        layers.append(nn.Upsample(scale_factor=float(stride), mode="bilinear"))
    return nn.Sequential(*layers)


class Detail(nn.Module):
    """Residual blocks on the pixels, for what is added to a decoder at strides 2 and 4.

    They are added with weights that begin at 0: a trained decoder that is given them says what it said.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        fine, coarse = DETAIL_WIDTHS
        self.fine = nn.Sequential(nn.PixelUnshuffle(2), ConvBlock(12, fine, 3), BasicBlock(fine, fine, 1))
        self.coarse = nn.Sequential(
            BasicBlock(fine, coarse, 2), BasicBlock(coarse, coarse, 1), BasicBlock(coarse, coarse, 1)
        )
        self.laterals = nn.ModuleList(
            nn.Conv2d(given, width, 1, bias=False)
            for given, width in zip(DETAIL_WIDTHS, widths, strict=False)
        )
        for weight in self.laterals.parameters():
            nn.init.zeros_(weight)

    def forward(self, images: Tensor) -> list[Tensor]:
        """N x widths[0] x H/2 x W/2 and N x widths[1] x H/4 x W/4 from images with values 0..1."""
        fine = self.fine(2 * images - 1)
        levels = fine, self.coarse(fine)
        return [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]


class PixelDecoder(nn.Module):
    """U-Net style decoder: upsample by 2, add the encoder's feature, two convolutions; then the head.

    It takes the deepest feature after its projection to `pixel_widths[-1]` channels, which all pixel decoders
    share.
    """

    def __init__(self, config: NetworkConfig, channels: int, *, detail: bool = False) -> None:
        super().__init__()
        widths = config.pixel_widths[::-1]
        self.laterals = nn.ModuleList(
            nn.Identity() if skip == width else nn.Conv2d(skip, width, 1, bias=False)
            for skip, width in zip(config.encoder.widths[-2::-1], widths, strict=True)
        )
        self.steps = nn.ModuleList(
            nn.Sequential(ConvBlock(width, width, 3), ConvBlock(width, out, 3))
            for width, out in zip(widths, (*widths[1:], widths[-1]), strict=True)
        )
        self.detail = Detail(config.pixel_widths) if detail else None
        self.head = pixel_head(config, channels)

    def trunk(self, deepest: Tensor, features: list[Tensor], images: Tensor) -> Tensor:
        """What the head sees: N x pixel_widths[0] x H/stem_stride x W/stem_stride.

        Args:
            deepest: projected.
            features: of the encoder, finest first.
            images: N x 3 x H x W, values 0..1; only `detail` looks at them.
        """
        skips = [
            lateral(skip) for lateral, skip in zip(self.laterals, features[-2::-1], strict=True)
        ]  # finest last
        for place, extra in enumerate(self.detail(images) if self.detail else ()):
            skips[-1 - place] = skips[-1 - place] + extra
        out = deepest
        for step, skip in zip(self.steps, skips, strict=True):
            upsampled = F.interpolate(out, scale_factor=2.0, mode="bilinear", align_corners=False)
            out = step(upsampled + skip)
        return out

    def forward(self, trunk: Tensor) -> Tensor:
        """Logits N x channels x H x W at the resolution of the image, from what `trunk` gives."""
        logits: Tensor = self.head(trunk)
        return logits


class Branch(nn.Module):
    """An extra layer at the end of another head's decoder (paper section 4.3.4, Pixel_A)."""

    def __init__(self, config: NetworkConfig, channels: int) -> None:
        super().__init__()
        self.head = pixel_head(config, channels)

    def forward(self, trunk: Tensor) -> Tensor:
        """Logits N x channels x H x W from what the `trunk` of the other decoder gives."""
        logits: Tensor = self.head(trunk)
        return logits


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
