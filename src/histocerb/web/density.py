"""Objects at low zoom: every one is a dot in the colour of its class, and dots that meet add up."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.analysis.objects import Box
from histocerb.core.colours import UNKNOWN_COLOUR
from histocerb.web.index import NO_WORD, ObjectIndex, Rows
from histocerb.web.pictures import TILE_PX, Picture

_LEAST_RADIUS = 0.8
_OPACITY = 0.9
"""Of a pixel that one dot covers wholly."""


def density_tile(index: ObjectIndex, rows: Rows, place: tuple[int, int, int], radius_px: float) -> Picture:
    """RGBA picture of objects around a tile of the slide's pyramid.

    Nothing is left out: the weight of a pixel is the sum of all dots on it, its colour their mean.

    Args:
        index: all objects.
        rows: those to draw; may lie outside the tile.
        place: level, column and row of the tile.
        radius_px: of a dot in level-0 pixels.
    """
    level, column, row = place
    scale = 2.0**level
    radius = max(radius_px / scale, _LEAST_RADIUS)
    margin = int(np.ceil(radius)) + 1
    side = TILE_PX + 2 * margin
    x = (index.columns["x"][rows] / np.float32(scale)).astype(np.int32) - column * TILE_PX + margin
    y = (index.columns["y"][rows] / np.float32(scale)).astype(np.int32) - row * TILE_PX + margin
    near = (x >= 0) & (x < side) & (y >= 0) & (y < side)
    flat = (y * side + x)[near]
    sums = np.empty((side, side, 4), np.float32)  # of weights, and of the colours of all dots
    for channel, values in enumerate(_weights(index, rows[near])):
        sums[..., channel] = np.bincount(flat, values, side * side).reshape(side, side)
    spread = cv2.filter2D(sums, -1, _disc(radius), borderType=cv2.BORDER_CONSTANT)
    inner = spread[margin : margin + TILE_PX, margin : margin + TILE_PX]
    weight = inner[..., 3]
    alpha = -np.expm1(weight * np.float32(np.log(1 - _OPACITY)))
    picture = inner / np.maximum(weight, 1e-6)[..., None]
    picture[..., 3] = alpha * 255
    return np.asarray((picture + 0.5).clip(0, 255), np.uint8)


def _weights(index: ObjectIndex, rows: Rows) -> list[npt.NDArray[np.float32] | None]:
    """Red, green and blue of objects of one kind, and a weight of one (None) for each."""
    shades = np.zeros((256, 3), np.float32)  # by code as a byte; without class it is the last
    for code, word in enumerate(index.classes):
        shades[code] = index.colours.get(word, UNKNOWN_COLOUR)
    if len(rows):
        shades[np.uint8(256 + NO_WORD)] = index.colours.get(
            index.kinds[int(index.columns["kind"][rows[0]])], UNKNOWN_COLOUR
        )
    codes = index.columns["class_code"][rows].view(np.uint8)
    return [*(shades[codes, channel] for channel in range(3)), None]


def chosen_rows(
    index: ObjectIndex, kind_code: int, box: Box, classes: Sequence[int] | None, least: float
) -> Rows:
    """Rows of a kind near a box, of some classes (None: all), with that probability at least."""
    rows = index.confident(index.grids[kind_code].near(box), least)
    if classes is None:
        return rows
    return rows[np.isin(index.columns["class_code"][rows], np.array(classes, np.int8))]


def _disc(radius: float) -> npt.NDArray[np.float32]:
    """A disc with a soft edge, as it covers pixels."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1), np.float32)
