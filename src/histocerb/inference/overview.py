"""`overview.png`: the slide with its tissue classes and objects drawn in, and a legend.

Small slides are drawn pixel by pixel with every outline; on large ones nuclei too small for an outline become
a veil in their colours, so that nothing is left out. It is drawn while the tables are written, from the same
rows and in their order.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from histocerb.analysis.objects import container_task
from histocerb.analysis.summary import Counts
from histocerb.core.colours import colour
from histocerb.core.tasks import TaskSpec
from histocerb.core.wkb import decode_polygons
from histocerb.inference.atomic import whole_file
from histocerb.inference.legend import legend
from histocerb.slides.reader import Slide

OVERVIEW_FILE = "overview.png"

_DETAIL_PX = 3000
"""Slides up to this side are drawn at full resolution."""
_SIDE_PX = 2000
_LEAST_SIDE_PX = 900
"""Smaller images are enlarged by a whole factor, so that outlines can be told apart."""
_LEAST_BOX_PX = 20.0
"""Mean area of bounding boxes in picture pixels from which outlines are drawn."""
_TISSUE_ALPHA = 0.22
_VEIL_ALPHA = 0.45
_TOLERANCE_PX = 0.25
"""Outlines are drawn with as few corners as keep them within this distance, in picture pixels."""
_STRIP_ROWS = 256
"""Of the picture, tinted at a time."""
_SHIFT = 4
"""Binary digits of a pixel in OpenCV's drawing."""

Picture = npt.NDArray[np.uint8]
_Strokes = list[tuple[list[int], list[Any]]]
"""Colours, each with the rings that are drawn in it."""


class Overview:
    """The picture of one slide, objects drawn in as they are given."""

    def __init__(self, slide: Slide, tissue: pa.Table, spec: TaskSpec) -> None:
        """Begin without objects.

        Args:
            slide: for its thumbnail.
            tissue: rows of `tissue.parquet`.
            spec: the tasks.
        """
        self._slide, self._tissue, self._spec = slide, tissue, spec
        container = container_task(spec)
        self._bold_kinds = {
            task.kind for task in spec.objects if task == container or spec.container_of(task) is not None
        }
        self._bold: list[_Strokes] = []

    def draw(self, rows: pa.Table) -> None:
        """Draw objects of one kind; bold outlines (glands and lumina) come last of all, over the others.

        Args:
            rows: a row group of `objects.parquet`.
        """
        picture, scale = self._ground
        if _mean_box_px(rows, scale) < _LEAST_BOX_PX:
            _veil_objects(picture, rows, scale)
        elif _kind(rows) in self._bold_kinds:
            self._bold.append(_outlines(rows, scale))
        else:
            _stroke(picture, _outlines(rows, scale), bold=False)

    def write(self, path: Path, counts: Counts) -> None:
        """Finish the picture and write the PNG file.

        Args:
            path: where it appears when it is whole.
            counts: objects per kind and class, for the legend.
        """
        picture, scale = self._ground
        for strokes in self._bold:
            _stroke(picture, strokes, bold=True)
        title = Path(self._slide.path).name
        page = legend(picture, self._spec, counts, self._tissue, title, scale / self._slide.mpp)
        with whole_file(path) as temporary:
            Image.fromarray(page).save(temporary, format="PNG", compress_level=3)

    @cached_property
    def _ground(self) -> tuple[Picture, float]:
        """The slide with its tissue, and picture pixels per level-0 pixel."""
        picture, scale = _backdrop(self._slide)
        _veil_tissue(picture, self._tissue, self._spec, scale)
        return picture, scale


def _backdrop(slide: Slide) -> tuple[Picture, float]:
    """The picture to draw on, and its pixels per level-0 pixel."""
    side = max(slide.width_px, slide.height_px)
    picture = np.array(slide.thumbnail(side if side <= _DETAIL_PX else _SIDE_PX), order="C")
    factor = max(1, -(-_LEAST_SIDE_PX // max(picture.shape[:2])))
    if factor > 1:
        picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    return picture, max(picture.shape[:2]) / side


def _veil_tissue(picture: Picture, tissue: pa.Table, spec: TaskSpec, scale: float) -> None:
    """Tint the cells of tissue; those of the first class (background) stay as they are."""
    if spec.patch is None:
        return
    codes = {name: code for code, name in enumerate(spec.patch.classes)}
    class_at = np.zeros(picture.shape[:2], np.uint8)
    x, y, width = (np.asarray(tissue[name], np.float64) * scale for name in ("x", "y", "width"))
    for name, left, top, side in zip(_names(tissue), x, y, width, strict=True):
        class_at[round(top) : round(top + side), round(left) : round(left + side)] = codes[name]
    grey = np.arange(256)[:, None]
    tints = np.stack([_mixed(grey, np.asarray(colour(name)), _TISSUE_ALPHA) for name in spec.patch.classes])
    tints[0] = grey
    for row in range(0, len(picture), _STRIP_ROWS):
        strip = picture[row : row + _STRIP_ROWS]
        strip[...] = tints[class_at[row : row + _STRIP_ROWS, :, None], strip, np.arange(3)]


def _outlines(rows: pa.Table, scale: float) -> _Strokes:
    """Outlines in picture pixels, by colour."""
    outlines = decode_polygons(rows["geometry"]).transform(scale)
    points = np.round((outlines.points - 0.5) * 2**_SHIFT).astype(np.int32)
    rings = [
        cv2.approxPolyDP(ring, _TOLERANCE_PX * 2**_SHIFT, closed=True)
        for ring in np.split(points, outlines.ring_offsets[1:-1])
    ]
    owner = np.repeat(np.arange(len(outlines)), np.diff(outlines.object_offsets))
    shades, member = np.unique(_colours(rows), axis=0, return_inverse=True)
    of_shade = [np.flatnonzero(member[owner] == index) for index in range(len(shades))]
    return [
        (shade.tolist(), [rings[ring] for ring in chosen])
        for shade, chosen in zip(shades, of_shade, strict=True)
    ]


def _stroke(picture: Picture, strokes: _Strokes, *, bold: bool) -> None:
    """Draw outlines; bold ones on a dark seam, so that they show on any ground."""
    if bold:
        rings = [ring for _, of_shade in strokes for ring in of_shade]
        cv2.polylines(picture, rings, True, (30, 30, 30), 4, cv2.LINE_AA, _SHIFT)
    for shade, of_shade in strokes:
        cv2.polylines(picture, of_shade, True, shade, 2 if bold else 1, cv2.LINE_AA, _SHIFT)


def _veil_objects(picture: Picture, rows: pa.Table, scale: float) -> None:
    """Tint every pixel that holds centres, the more the more there are, in their mean colour."""
    height, width = picture.shape[:2]
    column, row = (
        np.floor(np.asarray(rows[axis], np.float64) * scale).astype(np.int64) for axis in ("x", "y")
    )
    flat = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
    pixels, member, count = np.unique(flat, return_inverse=True, return_counts=True)
    shades = _colours(rows)
    sums = np.stack([np.bincount(member, shades[:, c].astype(np.float64)) for c in range(3)], axis=1)
    view = picture.reshape(-1, 3)
    alpha = 1 - (1 - _VEIL_ALPHA) ** count[:, None]
    view[pixels] = _mixed(view[pixels], sums / count[:, None], alpha)


def _mixed(ground: npt.NDArray[Any], shade: npt.NDArray[Any], alpha: Any) -> Picture:
    return np.asarray(np.round(ground * (1 - alpha) + shade * alpha), np.uint8)


def _kind(rows: pa.Table) -> str:
    return str(rows["kind"][0].as_py())


def _colours(rows: pa.Table) -> npt.NDArray[np.uint8]:
    """Of N objects of one kind, N x 3."""
    names: Any = rows["class"].combine_chunks()
    codes = np.asarray(pc.fill_null(names.indices, len(names.dictionary)), np.int64)
    shades = [colour(str(name)) for name in [*names.dictionary.to_pylist(), _kind(rows)]]
    return np.array(shades, np.uint8)[codes]


def _mean_box_px(rows: pa.Table, scale: float) -> float:
    """Mean area of the bounding boxes in picture pixels."""
    boxes: Any = rows["bbox"].combine_chunks()
    left, top, right, bottom = (np.asarray(side) for side in boxes.flatten())
    return float(np.mean((right - left) * (bottom - top))) * scale**2


def _names(rows: pa.Table) -> list[str]:
    return [str(name) for name in rows["class"].to_pylist()]
