"""Objects that contours separate (glands, lumina): components are grown back and their holes are filled.

With q1, q2 the bytes of inside and contour, ds the task's `downsample`, all regions 4-connected:

- fg is q1 > 255 t where not q2 > 255 `contour_threshold`. Its components of at least `min_area_px` ds^2
  pixels are the seeds, numbered in raster order of their first pixels.
- A seed that holds several surer parts (see `split`) is divided among them: they are flooded through it (see
  `flood`), and what each gets is a seed of its own. So glands that touch are told apart where their contours
  are unsure, and no other pixel is lost.
- Seeds are dilated by OpenCV's ellipse of size int((`element_px` - 1) ds), or int(`grow_px` ds) where that is
  given, with the anchor of cv2.dilate (size 0 or 1: not at all). A pixel that several reach goes to the
  nearest: the least squared distance among the offsets of the ellipse, of equals the earlier seed. Of a
  seed's pixels the largest 4-connected piece is the object (of equals the first in raster order).
- Holes are what a 4-connected path from outside the image cannot enter. A 4-connected region of pixels that
  nobody owns and that lies in holes goes to the innermost object around it (the smallest filled area), if
  it shares an edge with that object; so every object stays one 4-connected region.
- With a container, pixels outside it are removed. What remains of an object falls into 4-connected pieces;
  those of at least `min_area_px` ds^2 pixels are objects of their own.

A *unit* is a component of fg dilated by the ellipse; units affect each other only where one lies in a hole
of another.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.compiled import compiled
from histocerb.core.tasks import PostprocParams
from histocerb.postproc.arrays import I32, I64, U8, Bool
from histocerb.postproc.components import large_components, large_regions, largest_pieces
from histocerb.postproc.flood import flooded
from histocerb.postproc.holes import fill_holes
from histocerb.postproc.maps import TaskMaps, cutoff
from histocerb.postproc.split import split


def element(params: PostprocParams) -> U8:
    """The ellipse by which seeds are grown; 1 x 1 where they are not."""
    size = max(1, int((params.grow_px or params.element_px - 1) * params.downsample))
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def reach_px(params: PostprocParams) -> int:
    """How far from a pixel its membership in a unit is decided."""
    return len(element(params)) // 2


def unit_mask(maps: TaskMaps, params: PostprocParams) -> Bool:
    """H x W bool. Its components are units: small components are not dropped here."""
    dilated = cv2.dilate(_foreground(maps, params).view(np.uint8), element(params))
    return np.asarray(dilated, np.uint8).reshape(maps.shape).view(np.bool_)


def label_objects(maps: TaskMaps, params: PostprocParams) -> tuple[I32, I64]:
    """Find the objects.

    Returns:
        H x W int32, objects numbered in raster order of their first pixels, and for each the flat index of
        one pixel of its unit.
    """
    least_px = params.min_area_px * params.downsample**2
    seeds, anchors = large_components(_foreground(maps, params), least_px)
    markers, number = split(seeds, len(anchors), maps.inside, params)
    if number > len(anchors):
        seeds, anchors = large_regions(flooded(markers, seeds, maps.inside, len(anchors)), 1)
    labels, origin, _ = largest_pieces(_grown(seeds, element(params)), len(anchors))
    fill_holes(labels)
    if maps.container is not None:
        labels, pieces = _contained(labels, maps.container, least_px)
        origin = origin[pieces - 1]
    return labels, anchors[origin - 1]


def _foreground(maps: TaskMaps, params: PostprocParams) -> Bool:
    return (maps.inside > cutoff(params.threshold)) & (maps.contour <= cutoff(params.contour_threshold))


def _contained(labels: I32, container: Bool, least_px: float) -> tuple[I32, I64]:
    """Cut objects to the container; the pieces that are large enough, and the object of each."""
    before = np.where(container, labels, 0)
    pieces, first = large_regions(before, least_px)
    return pieces, before.ravel()[first].astype(np.int64)


def _grown(seeds: I32, ellipse: U8) -> I32:
    if ellipse.size == 1:
        return seeds
    anchor = len(ellipse) // 2
    steps = anchor - np.argwhere(ellipse)
    squared = (steps**2).sum(axis=1)
    best = np.full(seeds.size, squared.max() + 1, np.uint16)
    flat = _grow(seeds.ravel(), seeds.shape[1], steps, squared, best)
    return flat.reshape(seeds.shape)


@compiled
def _grow(seeds: I32, width: int, steps: I64, squared: I64, best: npt.NDArray[np.uint16]) -> I32:
    """Pixels on the edge of a seed offer it to the pixels around; nearer and earlier seeds win."""
    labels, height = seeds.copy(), seeds.size // width
    for pixel in range(seeds.size):
        label = seeds[pixel]
        if label == 0:
            continue
        row, column = pixel // width, pixel % width
        inner = (
            0 < row < height - 1
            and 0 < column < width - 1
            and seeds[pixel - width] == label
            and seeds[pixel + width] == label
            and seeds[pixel - 1] == label
            and seeds[pixel + 1] == label
        )
        if inner:
            continue
        for k in range(len(squared)):
            to_row, to_column = row + steps[k, 0], column + steps[k, 1]
            if not (0 <= to_row < height and 0 <= to_column < width):
                continue
            target = to_row * width + to_column
            if seeds[target]:
                continue
            if squared[k] < best[target] or (squared[k] == best[target] and label < labels[target]):
                best[target] = squared[k]
                labels[target] = label
    return labels
