"""Probabilities of a whole image in memory, from the same windows as those of a slide."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import MARGIN_PX, WindowGrid
from histocerb.core.tasks import CELL_PX, HeadKind, TaskSpec
from histocerb.inference.protocol import Predictor
from histocerb.inference.windows import mirrored


def predict_maps(
    image: npt.NDArray[np.uint8], predictor: Predictor, spec: TaskSpec, margin_px: int | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Probabilities of every channel of every head.

    Args:
        image: H x W x 3 uint8 RGB at the working resolution.
        predictor: runs the network.
        spec: its tasks.
        margin_px: None: windows of the fixed grid, mirrored at the border, as `segment` computes them.
            A number: one plain forward pass over the image, from which that margin is cut off; sides must
            be multiples of 16.

    Returns:
        Per head name H x W x C float32; patch heads rows x columns x C (cells of 144 px: all that the image
        touches, or in a plain pass the whole ones).
    """
    if margin_px is not None:
        return predictor.probabilities(image, margin_px)
    height, width = image.shape[:2]
    grid = WindowGrid.of(width, height)
    maps: dict[str, npt.NDArray[np.float32]] = {}
    for head in spec.heads:
        side = CELL_PX if head.kind is HeadKind.PATCH else 1
        shape = (-(-height // side), -(-width // side), len(head.channels))
        maps[head.name] = np.zeros(shape, np.float32)
    for window in grid:
        inside = window.input.intersect(grid.bounds)
        pixels = mirrored(image[inside.slices()], inside, window.input)
        found = predictor.probabilities(pixels, MARGIN_PX)
        for head in spec.heads:
            side = CELL_PX if head.kind is HeadKind.PATCH else 1
            target = maps[head.name]
            x, y = window.output.x // side, window.output.y // side
            into = target[y : y + found[head.name].shape[0], x : x + found[head.name].shape[1]]
            into[...] = found[head.name][: into.shape[0], : into.shape[1]]
    return maps
