"""Which object contains a point, and on which tissue it lies: look-ups in label maps, read in blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import Region

ReadLabels = Callable[[Region], npt.NDArray[np.integer]]
"""Height x width labels of a region; any region may be asked for."""

BLOCK_PX = 504


def labels_at(
    read: ReadLabels, points: npt.NDArray[np.float64], block_px: int = BLOCK_PX
) -> npt.NDArray[np.int64]:
    """Labels of the pixels in which points lie.

    Each block of the map is read once, in raster order of the blocks, whatever the order of the points.

    Args:
        read: gives the labels of a region.
        points: N x 2 (x, y) in pixels of the map.
        block_px: side of the blocks that are read.

    Returns:
        N labels.
    """
    pixels = np.floor(points).astype(np.int64)
    found = np.zeros(len(points), np.int64)
    if not len(points):
        return found
    blocks, member = np.unique(pixels[:, ::-1] // block_px, axis=0, return_inverse=True)
    order = np.argsort(member, kind="stable")
    ends = np.cumsum(np.bincount(member, minlength=len(blocks)))
    for (row, column), chosen in zip(blocks, np.split(order, ends[:-1]), strict=True):
        origin = np.array([column * block_px, row * block_px])
        x, y = (pixels[chosen] - origin).T
        labels = read(Region(int(origin[0]), int(origin[1]), block_px, block_px))
        found[chosen] = labels[y, x]
    return found
