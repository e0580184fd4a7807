"""Where a slide has tissue, so that only that is computed.

Works on a picture of about 9 um/px. Losing tissue is worse than computing some background: pale mucus, fat
and a margin are kept; clean glass, dust and pen marks are dropped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import Region
from histocerb.core.tasks import CELL_PX
from histocerb.slides.pixels import Rgb8
from histocerb.slides.reader import Slide, working_mpp

Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float32]

TISSUE_CELL_PX = CELL_PX // 2
"""Side of a mask cell in working pixels (36 um)."""

_PIXELS_PER_CELL = 4
_LEAST_DENSITY, _MOST_DENSITY_FLOOR = 0.035, 0.08
_CLOSE_UM = 90.0
_MARGIN_UM = 30.0
_HOLE_MM2 = 0.25
_DUST_MM2 = 0.012
_PEN_MM2 = 0.02
_PEN_HALO_UM = 60.0
_SMALL_UM = 1200.0
"""Images with both sides below this are crops, not slides: all of it is tissue or none."""
_GLASS_SAMPLES = 1 << 20
"""Pixels from which the glass is estimated."""
_LEAST_SHARE, _SPECK_MM2 = 0.01, 0.0003
"""Of a crop one of both must be stained for it to count as tissue."""


@dataclass(frozen=True)
class TissueMask:
    """Which cells of a slide hold tissue.

    Attributes:
        cells: rows x columns; cell (r, c) covers working pixels [c * cell_px, (c + 1) * cell_px) by
            [r * cell_px, (r + 1) * cell_px), the last ones reach over the border.
        width: of the slide in working pixels.
        height: of the slide in working pixels.
        mpp: working resolution in um/px.
        cell_px: side of a cell in working pixels.
    """

    cells: Mask
    width: int
    height: int
    mpp: float
    cell_px: int = TISSUE_CELL_PX

    def touches(self, region: Region) -> bool:
        """True when a region in working pixels shares a pixel with a tissue cell."""
        inner = region.intersect(Region(0, 0, self.width, self.height))
        if inner.is_empty:
            return False
        side = self.cell_px
        rows = slice(inner.y // side, -(-inner.bottom // side))
        return bool(self.cells[rows, inner.x // side : -(-inner.right // side)].any())

    @property
    def area_mm2(self) -> float:
        """Area of the tissue cells within the slide."""
        columns = np.clip(self.width - np.arange(self.cells.shape[1]) * self.cell_px, 0, self.cell_px)
        rows = np.clip(self.height - np.arange(self.cells.shape[0]) * self.cell_px, 0, self.cell_px)
        return float(rows @ self.cells.astype(np.int64) @ columns) * (self.mpp / 1000) ** 2


def tissue_mask(slide: Slide) -> TissueMask:
    """Find tissue; a function of the slide's pixels and resolution only."""
    mpp = working_mpp(slide.mpp)
    width, height = slide.size_at(mpp)
    factor = TISSUE_CELL_PX // _PIXELS_PER_CELL
    picture_mpp = mpp * factor
    columns, rows = -(-width // TISSUE_CELL_PX), -(-height // TISSUE_CELL_PX)
    picture = slide.read(Region(0, 0, *slide.size_at(picture_mpp)), picture_mpp)
    tissue = find_tissue(picture, picture_mpp)
    padded = np.zeros((rows * _PIXELS_PER_CELL, columns * _PIXELS_PER_CELL), np.bool_)
    tissue = tissue[: padded.shape[0], : padded.shape[1]]
    padded[: tissue.shape[0], : tissue.shape[1]] = tissue
    # the picture is rounded to whole pixels: what is left of the border continues its last row and column
    padded[tissue.shape[0] :] = padded[tissue.shape[0] - 1]
    padded[:, tissue.shape[1] :] = padded[:, tissue.shape[1] - 1 : tissue.shape[1]]
    cells = padded.reshape(rows, _PIXELS_PER_CELL, columns, _PIXELS_PER_CELL).any(axis=(1, 3))
    return TissueMask(np.asarray(cells), width, height, mpp)


def find_tissue(picture: Rgb8, mpp: float) -> Mask:
    """Tissue pixels of an overview.

    Args:
        picture: H x W x 3, the whole slide.
        mpp: its resolution, about 5 to 20 um/px.

    Returns:
        H x W mask, with a margin of about 30 um.
    """
    glass, noise = _glass(picture)
    red, green, blue = _densities(picture, glass)
    pen = _pen(red, green, blue, mpp)
    strength = np.maximum(green, (red + green + blue) / 3)
    stained = strength > np.clip(4 * noise, _LEAST_DENSITY, _MOST_DENSITY_FLOOR)
    if max(picture.shape[:2]) * mpp < _SMALL_UM:
        stained &= ~pen
        speck = _large(stained, _SPECK_MM2, mpp)
        return np.full(stained.shape, bool(speck.any()) or float(np.mean(stained)) > _LEAST_SHARE)
    stained &= ~_grown(pen, _PEN_HALO_UM / mpp)
    solid = _large(stained, _DUST_MM2 * 0.2, mpp)
    kept = _large(_closed(solid, mpp), _DUST_MM2, mpp)
    kept = ~_large(~kept, _HOLE_MM2, mpp, kept_at_border=True)
    return _grown(kept, _MARGIN_UM / mpp)


def _glass(picture: Rgb8) -> tuple[Float, float]:
    """Colour of empty glass and how much its optical density varies (90 % quantile).

    Seen at the bright, flat and colourless pixels. Pure white is where a scanner did not look, and says
    nothing about glass. White is also the answer where no glass is seen, as in crops that are all tissue.
    """
    step = max(1, math.isqrt(picture.shape[0] * picture.shape[1] // _GLASS_SAMPLES))
    padded = np.pad(picture, ((0, 1), (0, 1), (0, 0)), mode="edge")
    here = padded[:-1:step, :-1:step].reshape(-1, 3).astype(np.int16)
    beside = padded[:-1:step, 1::step].reshape(-1, 3)
    below = padded[1::step, :-1:step].reshape(-1, 3)
    contrast = np.maximum(np.abs(here - beside), np.abs(here - below)).max(axis=1)
    low, high = here.min(axis=1), here.max(axis=1)
    seen = low < 254
    brightest = float(np.percentile(low[seen], 99.5)) if seen.any() else 255.0
    flat = seen & (low >= max(170.0, brightest - 20)) & (high - low <= 40) & (contrast <= 8)
    if np.count_nonzero(flat) < max(20, flat.size // 500):
        return np.full(3, 255, np.float32), 0.0
    glass = np.median(here[flat], axis=0).astype(np.float32)
    density = np.log((glass + 1) / (here[flat] + 1)).mean(axis=1)
    return glass, max(0.0, float(np.percentile(density, 90)))


def _densities(picture: Rgb8, glass: Float) -> tuple[Float, Float, Float]:
    """Optical density of red, green and blue over that of the glass, H x W each."""
    value = np.arange(256, dtype=np.float32)
    red, green, blue = (
        np.asarray(cv2.LUT(plane, np.log((full + 1) / (value + 1))), np.float32)
        for plane, full in zip(cv2.split(picture), glass, strict=True)
    )
    return red, green, blue


def _pen(red: Float, green: Float, blue: Float, mpp: float) -> Mask:
    """Marker strokes and black voids, by ratios of density that no stain of H&E reaches.

    Haematoxylin and eosin both absorb green most and eosin hardly absorbs red: green and blue ink absorb
    red most, red ink absorbs blue as much as green, black ink everything alike.
    """
    least = np.minimum(np.minimum(red, green), blue)
    most = np.maximum(np.maximum(red, green), blue)
    cool = (red > 0.25) & (red > 1.25 * green)
    scarlet = (green > 0.7) & (blue > 0.85 * green) & (red < 0.25 * green)
    black = (least > 0.9) & (least > 0.8 * most)
    return _large(cool | scarlet | black, _PEN_MM2, mpp)


def _large(mask: Mask, area_mm2: float, mpp: float, kept_at_border: bool = False) -> Mask:
    """Without components below an area; with `kept_at_border`, those at the picture's border stay."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] * (mpp / 1000) ** 2 >= area_mm2
    if kept_at_border:
        for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            keep[np.unique(side)] = True
    keep[0] = False
    return np.asarray(keep[labels] if count > 1 else np.zeros_like(mask), np.bool_)


def _grown(mask: Mask, radius_px: float) -> Mask:
    """Dilated by a disk."""
    if not mask.any():
        return mask.copy()
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= radius_px, np.bool_)


def _closed(mask: Mask, mpp: float) -> Mask:
    """Gaps up to about 180 um closed; the frame keeps tissue from being glued to the picture's border."""
    radius = _CLOSE_UM / mpp
    frame = math.ceil(2 * radius)
    grown = _grown(np.pad(mask, frame), radius)
    return ~_grown(~grown, radius)[frame:-frame, frame:-frame]
