"""`overview.png`: the slide with its tissue classes and objects drawn in, and a legend.

Small slides are drawn pixel by pixel with every outline; on large ones nuclei too small for an outline become
a veil in their colours, so that nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from histocerb.analysis.objects import container_task
from histocerb.analysis.summary import Counts
from histocerb.core.colours import colour
from histocerb.core.outlines import Outlines
from histocerb.core.tasks import Task, TaskSpec
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
_SHIFT = 4
"""Binary digits of a pixel in OpenCV's drawing."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _RowGroup:
    """Objects of one kind.

    Attributes:
        file: the open object table.
        number: of the row group.
        rows: all columns that are needed but the geometry.
        scale: picture pixels per level-0 pixel.
    """

    file: pq.ParquetFile
    number: int
    rows: pa.Table
    scale: float

    @property
    def colours(self) -> npt.NDArray[np.uint8]:
        """N x 3."""
        kind = str(self.rows["kind"][0].as_py())
        names: Any = self.rows["class"].combine_chunks()
        codes = np.asarray(pc.fill_null(names.indices, len(names.dictionary)), np.int64)
        shades = [colour(str(name)) for name in [*names.dictionary.to_pylist(), kind]]
        return np.array(shades, np.uint8)[codes]

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """N x 2 in picture pixels."""
        return np.stack([np.asarray(self.rows[axis], np.float64) for axis in ("x", "y")], axis=1) * self.scale

    @property
    def mean_box_px(self) -> float:
        """Mean area of the bounding boxes in picture pixels."""
        boxes: Any = self.rows["bbox"].combine_chunks()
        left, top, right, bottom = (np.asarray(side) for side in boxes.flatten())
        return float(np.mean((right - left) * (bottom - top))) * self.scale**2

    def outlines(self) -> Outlines:
        """In picture pixels."""
        geometry = self.file.read_row_group(self.number, columns=["geometry"])["geometry"]
        return decode_polygons(geometry).transform(self.scale)


def write_overview(
    path: Path, slide: Slide, objects: Path, tissue: pa.Table, spec: TaskSpec, counts: Counts
) -> None:
    """Draw a slide with what was found on it.

    Args:
        path: the PNG file.
        slide: for its thumbnail.
        objects: `objects.parquet`; read one row group at a time.
        tissue: rows of `tissue.parquet`.
        spec: the tasks.
        counts: objects per kind and class, for the legend.
    """
    picture, scale = _backdrop(slide)
    _veil_tissue(picture, tissue, spec, scale)
    containers = container_task(spec)
    last = [task for task in spec.objects if task == containers or _is_inside(task)]
    for task in [task for task in spec.objects if task not in last] + last:
        for group in _row_groups(objects, task, scale):
            if group.mean_box_px < _LEAST_BOX_PX:
                _veil_objects(picture, group)
            else:
                _outline(picture, group, bold=task in last)
    page = legend(picture, spec, counts, tissue, Path(slide.path).name, scale * 1.0 / slide.mpp)
    with whole_file(path) as temporary:
        Image.fromarray(page).save(temporary, format="PNG", compress_level=3)


def _is_inside(task: Task) -> bool:
    return task.postproc is not None and task.postproc.within is not None


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
    x, y, width = (np.asarray(tissue[name], np.float64) * scale for name in ("x", "y", "width"))
    for name, left, top, side in zip(_names(tissue), x, y, width, strict=True):
        if name != spec.patch.classes[0]:
            cell = picture[round(top) : round(top + side), round(left) : round(left + side)]
            cell[...] = _mixed(cell, np.asarray(colour(name)), _TISSUE_ALPHA)


def _row_groups(objects: Path, task: Task, scale: float) -> Iterator[_RowGroup]:
    """Objects of a kind, one row group after the other."""
    with pq.ParquetFile(objects) as file:
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number, columns=["kind", "class", "x", "y", "bbox"])
            if rows["kind"][0].as_py() == task.kind:
                yield _RowGroup(file, number, rows, scale)


def _outline(picture: Picture, group: _RowGroup, *, bold: bool) -> None:
    """Draw outlines; bold ones on a dark seam, so that they show on any ground."""
    outlines = group.outlines()
    points = np.round((outlines.points - 0.5) * 2**_SHIFT).astype(np.int32)
    rings = np.split(points, outlines.ring_offsets[1:-1])
    owner = np.repeat(np.arange(len(outlines)), np.diff(outlines.object_offsets))
    if bold:
        cv2.polylines(picture, rings, True, (30, 30, 30), 4, cv2.LINE_AA, _SHIFT)
    shades, member = np.unique(group.colours, axis=0, return_inverse=True)
    for index, shade in enumerate(shades):
        chosen = [rings[ring] for ring in np.flatnonzero(member[owner] == index)]
        cv2.polylines(picture, chosen, True, shade.tolist(), 2 if bold else 1, cv2.LINE_AA, _SHIFT)


def _veil_objects(picture: Picture, group: _RowGroup) -> None:
    """Tint every pixel that holds centres, the more the more there are, in their mean colour."""
    height, width = picture.shape[:2]
    column, row = np.floor(group.centres).astype(np.int64).T
    flat = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
    pixels, member, count = np.unique(flat, return_inverse=True, return_counts=True)
    shades = group.colours
    sums = np.stack([np.bincount(member, shades[:, c].astype(np.float64)) for c in range(3)], axis=1)
    view = picture.reshape(-1, 3)
    alpha = 1 - (1 - _VEIL_ALPHA) ** count[:, None]
    view[pixels] = _mixed(view[pixels], sums / count[:, None], alpha)


def _mixed(ground: Picture, shade: npt.NDArray[Any], alpha: Any) -> Picture:
    return np.asarray(np.round(ground * (1 - alpha) + shade * alpha), np.uint8)


def _names(rows: pa.Table) -> list[str]:
    return [str(name) for name in rows["class"].to_pylist()]
