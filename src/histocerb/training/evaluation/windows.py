"""Maps of whole images from the windows of the slide engine, without what lies beyond the image.

A window of an image that ends shortly after it began would be mostly mirror image. Here its far sides are cut
back to the nearest of a few lengths, which keeps the margin of context around every pixel of the image. What
the network no longer sees lies beyond that margin. Probabilities change by less than 1e-6: measured were 0 in
the pixel maps of the packaged network, 6e-8 in those of a ResNet-34, and 4e-7 in tissue cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import MARGIN_PX, WINDOW_OUTPUT_PX, Region, WindowGrid
from histocerb.core.tasks import CELL_PX, HeadKind, TaskSpec
from histocerb.training.evaluation.image import Maps

LENGTHS_PX = (CELL_PX, 4 * CELL_PX, WINDOW_OUTPUT_PX)
"""Sides of cut windows. Few, as a network is compiled anew for every size."""

Probabilities = Callable[[npt.NDArray[np.uint8], int], Maps]
"""From a window and its margin in pixels to the probabilities inside the margin."""


def window_maps(
    image: npt.NDArray[np.uint8], probabilities: Probabilities, spec: TaskSpec
) -> dict[str, npt.NDArray[Any]]:
    """Probabilities of every channel of every head, as `Model.predict` has them.

    Args:
        image: H x W x 3 uint8 RGB at the working resolution.
        probabilities: runs the network on a window.
        spec: its tasks.

    Returns:
        Per head name H x W x C float32; patch heads rows x columns x C of all cells that the image touches.
    """
    height, width = image.shape[:2]
    grid = WindowGrid.of(width, height)
    sides = {head.name: CELL_PX if head.kind is HeadKind.PATCH else 1 for head in spec.heads}
    maps = {
        head.name: np.zeros(
            (-(-height // sides[head.name]), -(-width // sides[head.name]), len(head.channels)), np.float32
        )
        for head in spec.heads
    }
    for window in grid:
        kept = _cut(window.output, grid)
        found = probabilities(_pixels(image, kept.grow(MARGIN_PX)), MARGIN_PX)
        for name, target in maps.items():
            x, y = kept.x // sides[name], kept.y // sides[name]
            into = target[y : y + found[name].shape[0], x : x + found[name].shape[1]]
            into[...] = found[name][: into.shape[0], : into.shape[1]]
    return maps


def _cut(output: Region, grid: WindowGrid) -> Region:
    """The part of a window's output that is needed, rounded up."""
    inside = output.intersect(grid.bounds)
    width, height = (
        min(length for length in LENGTHS_PX if length >= needed) for needed in (inside.width, inside.height)
    )
    return Region(output.x, output.y, min(width, output.width), min(height, output.height))


def _pixels(image: npt.NDArray[np.uint8], wanted: Region) -> npt.NDArray[np.uint8]:
    """The image in a region, mirrored at the image's border."""
    inside = wanted.intersect(Region(0, 0, image.shape[1], image.shape[0]))
    rows = inside.y - wanted.y, wanted.bottom - inside.bottom
    columns = inside.x - wanted.x, wanted.right - inside.right
    return np.pad(image[inside.slices()], (rows, columns, (0, 0)), mode="symmetric")
