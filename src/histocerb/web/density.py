"""Objects at low zoom: every one is a dot in the colour of its class, and dots that meet add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.colours import UNKNOWN_COLOUR
from histocerb.web.index import NO_WORD, ObjectIndex
from histocerb.web.pictures import Picture

TILE_PX = 1024
"""Side of a tile of dots: few requests for the whole of a slide."""

_LEAST_RADIUS = 0.8
_OPACITY = 0.9
"""Of a pixel that one dot covers wholly."""
_SHADE_STEP = 8
"""Mean colours are rounded to this: nobody sees it, and it halves the bytes."""

_BLOCK = 1 << 17
"""Objects that are worked on at a time,"""
_BAND = 128
"""and lines of a tile: what a thread has taken once, it keeps."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dotted:
    """Which objects are drawn.

    Attributes:
        kind_code: their kind.
        classes: codes of their classes; None: all. What has no class is drawn with any of them, as its
            outline is.
        least: least probability of the class; what has none is never too uncertain.
    """

    kind_code: int
    classes: Sequence[int] | None = None
    least: float = 0.0


def density_tile(
    index: ObjectIndex, dotted: Dotted, place: tuple[int, int, int], radius_px: float
) -> Picture:
    """RGBA picture of the objects of a tile.

    Nothing is left out: the weight of a pixel is the sum of all dots on it, its colour their mean.

    Args:
        index: all objects.
        dotted: those to draw.
        place: level, column and row of the tile; level n has one pixel for 2**n.
        radius_px: of a dot in level-0 pixels.
    """
    level, column, row = place
    scale = 2.0**level
    radius = max(radius_px / scale, _LEAST_RADIUS)
    margin = int(np.ceil(radius)) + 1
    corner = np.array([column, row]) * TILE_PX
    size = np.ceil(np.array([index.width_px, index.height_px]) / scale).astype(int) - corner
    width, height = size.clip(0, TILE_PX).tolist()
    sums = _scattered(index, dotted, scale, corner - margin, (height + 2 * margin, width + 2 * margin))
    spread: Floats = np.asarray(
        cv2.filter2D(sums, -1, _disc(radius), borderType=cv2.BORDER_CONSTANT), np.float32
    )
    picture = np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
    for line in range(0, height, _BAND):
        band = slice(line, min(line + _BAND, height))
        lines = slice(band.start + margin, band.stop + margin)
        picture[band, :width] = _painted(spread[lines, margin : margin + width])
    return picture


def _scattered(
    index: ObjectIndex, dotted: Dotted, scale: float, corner: npt.NDArray[np.int64], shape: tuple[int, int]
) -> Floats:
    """Per pixel the sums of the colours of its objects, and of their weights."""
    (height, width), (left, top) = shape, corner.tolist()
    box = left * scale, top * scale, (left + width) * scale, (top + height) * scale
    near = index.grids[dotted.kind_code].near(box)
    shades = _shades(index, dotted)
    sums = np.zeros((height * width, 4), np.float32)
    for begin in range(0, len(near), _BLOCK):
        rows = index.confident(near[begin : begin + _BLOCK], dotted.least)
        x = (index.columns["x"][rows] * np.float32(1 / scale)).astype(np.int32) - left
        y = (index.columns["y"][rows] * np.float32(1 / scale)).astype(np.int32) - top
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        pixels = (y * width + x)[inside]
        codes = index.columns["class_code"][rows[inside]] - NO_WORD
        for channel in range(4):
            np.add.at(sums[:, channel], pixels, shades[:, channel][codes])
    return sums.reshape(height, width, 4)


def _painted(sums: Floats) -> Picture:
    """Mean colours, and as alpha what the weights cover."""
    weight = sums[..., 3:]
    picture = sums / (np.maximum(weight, 1e-6) * _SHADE_STEP)
    np.rint(picture, out=picture)
    picture *= _SHADE_STEP
    picture[..., 3:] = np.rint(-255 * np.expm1(weight * np.float32(np.log(1 - _OPACITY))))
    return np.asarray(np.clip(picture, 0, 255, out=picture), np.uint8)


def _shades(index: ObjectIndex, dotted: Dotted) -> Floats:
    """Red, green, blue and weight: of objects without class, then of each class."""
    words = (index.kinds[dotted.kind_code], *index.classes)
    shades = np.zeros((len(words), 4), np.float32)
    for number, word in enumerate(words):
        if dotted.classes is None or number == 0 or number - 1 in dotted.classes:
            shades[number] = (*index.colours.get(word, UNKNOWN_COLOUR), 1)
    return shades


def _disc(radius: float) -> Floats:
    """A disc with a soft edge, as it covers pixels."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1), np.float32)
