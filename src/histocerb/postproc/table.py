"""From a label map to a table: what is measured about each object.

Objects are measured on the pixels of the image. One pixel of a map reduced k times stands for k x k of
them, fewer where it reaches beyond the image; area, centroid, bounding box and outline follow from these.
Score and class are means and votes over the pixels of the map. The centroid is the mean of pixel centres
(corners are at integers).

The class is the one most frequent in the object; pixels without class only count where there is no other
(then the object has none and `class_prob` 0). `class_prob` is the share of that class, calibrated where
the task has a temperature. Of equally frequent classes the first one wins. All sums are
whole numbers, so that results do not depend on where an image was cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.core.compiled import compiled
from histocerb.core.instances import NO_CLASS, InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.tasks import Task
from histocerb.postproc.arrays import I32, I64, U8
from histocerb.postproc.calibrate import calibrated
from histocerb.postproc.maps import TaskMaps
from histocerb.postproc.outlines import trace

# Columns of the sums per object.
_PIXELS, _INSIDE, _AREA, _X2, _Y2, _LEFT, _TOP, _RIGHT, _BOTTOM, _ROW, _COLUMN = range(11)


@dataclass(frozen=True)
class Frame:
    """Where a map lies in its image.

    Attributes:
        width: of the image, in pixels.
        height: of the image, in pixels.
        by: image pixels per map pixel and side.
        x: column of the map's first pixel, in map pixels.
        y: row of the map's first pixel, in map pixels.
    """

    width: int
    height: int
    by: int = 1
    x: int = 0
    y: int = 0


def measure(labels: I32, count: int, maps: TaskMaps, task: Task, frame: Frame) -> InstanceTable:
    """Rows for the labels 1..count, in that order, in pixels of the image.

    Args:
        labels: H x W, every label one 4-connected region.
        count: how many labels there are.
        maps: of the same pixels.
        task: gives kind and classes.
        frame: position of the maps in the image.
    """
    if not count:
        return InstanceTable.empty(task.kind, task.classes)
    sums = _sums(labels, count, maps.inside, (frame.width, frame.height, frame.by, frame.x, frame.y))
    code, share = _classes(labels, count, maps.types, len(task.classes) + 1, sums[:, _PIXELS])
    temperature = task.postproc.class_temperature if task.postproc else 1.0
    return InstanceTable(
        kind=task.kind,
        classes=task.classes,
        class_code=code,
        class_prob=calibrated(share, temperature),
        score=(sums[:, _INSIDE] / (255 * sums[:, _PIXELS])).astype(np.float32),
        centroid=sums[:, [_X2, _Y2]] / (2 * sums[:, [_AREA]]),
        area_px=sums[:, _AREA].astype(np.float64),
        bbox=sums[:, [_LEFT, _TOP, _RIGHT, _BOTTOM]].astype(np.float64),
        first_px=sums[:, [_ROW, _COLUMN]],
        outlines=_placed(trace(labels, count), frame),
    )


def _placed(outlines: Outlines, frame: Frame) -> Outlines:
    points = (outlines.points + np.array([frame.x, frame.y])) * frame.by
    points = np.minimum(points, np.array([frame.width, frame.height], np.float64))
    return Outlines(points, outlines.ring_offsets, outlines.object_offsets)


def _classes(
    labels: I32, count: int, types: U8 | None, channels: int, pixels: I64
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Class code and share of that class among the pixels, per object."""
    if types is None or channels < 2:
        return np.full(count, NO_CLASS, np.int16), np.zeros(count, np.float32)
    votes = _votes(labels.ravel(), count, types.ravel(), channels)[:, 1:]
    code = votes.argmax(axis=1)
    most = votes[np.arange(count), code]
    return np.where(most > 0, code, NO_CLASS).astype(np.int16), (most / pixels).astype(np.float32)


@compiled
def _votes(labels: I32, count: int, types: U8, channels: int) -> I32:
    votes = np.zeros((count, channels), np.int32)
    for pixel in range(labels.size):
        if labels[pixel] > 0:
            votes[labels[pixel] - 1, types[pixel]] += 1
    return votes


@compiled
def _sums(labels: I32, count: int, inside: U8, frame: tuple[int, int, int, int, int]) -> I64:
    """Per object the columns named at the top; _X2 and _Y2 are sums of twice the pixel centres."""
    image_width, image_height, by, x, y = frame
    sums = np.zeros((count, 11), np.int64)
    height, width = labels.shape
    for row in range(height):
        top = (row + y) * by
        bottom = min(top + by, image_height)
        for column in range(width):
            if labels[row, column] == 0:
                continue
            total = sums[labels[row, column] - 1]
            left = (column + x) * by
            right = min(left + by, image_width)
            area = (right - left) * (bottom - top)
            if total[_PIXELS] == 0:
                total[_ROW], total[_COLUMN], total[_TOP], total[_LEFT] = top, left, top, left
            total[_PIXELS] += 1
            total[_INSIDE] += inside[row, column]
            total[_AREA] += area
            total[_X2] += area * (left + right)
            total[_Y2] += area * (top + bottom)
            total[_LEFT] = min(total[_LEFT], left)
            total[_RIGHT] = max(total[_RIGHT], right)
            total[_BOTTOM] = max(total[_BOTTOM], bottom)
    return sums
