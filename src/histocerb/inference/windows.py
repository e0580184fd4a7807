"""The windows of a slide that are worth computing, and their images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import Region, Window, WindowGrid
from histocerb.slides.reader import Slide
from histocerb.slides.tissue import TissueMask


def tissue_windows(grid: WindowGrid, mask: TissueMask) -> list[Window]:
    """Windows whose kept part touches tissue, in raster order."""
    return [window for window in grid if mask.touches(window.output.intersect(grid.bounds))]


def window_image(slide: Slide, working_mpp: float, grid: WindowGrid, window: Window) -> npt.NDArray[np.uint8]:
    """Input of the network for one window: H x W x 3 uint8, the slide mirrored at its border."""
    inside = window.input.intersect(grid.bounds)
    return mirrored(slide.read(inside, working_mpp), inside, window.input)


def mirrored(pixels: npt.NDArray[np.uint8], inside: Region, wanted: Region) -> npt.NDArray[np.uint8]:
    """Extend the pixels of region `inside` to `wanted` by mirroring, again and again if need be.

    The border pixel is repeated: ... c b a | a b c ...
    """
    if wanted == inside:
        return pixels
    rows = _reflected(np.arange(wanted.y, wanted.bottom) - inside.y, inside.height)
    columns = _reflected(np.arange(wanted.x, wanted.right) - inside.x, inside.width)
    return np.ascontiguousarray(pixels[rows][:, columns])


def _reflected(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Indices into 0..size-1 of a sequence that is mirrored at both ends."""
    place = np.mod(index, 2 * size)
    nearest: npt.NDArray[np.int64] = np.minimum(place, 2 * size - 1 - place)
    return nearest
