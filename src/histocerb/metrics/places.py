"""Which detections of an image can stand for which of its marks: by distance, by place, by overlap.

Marks and detections are boxes, N x 4 as x0, y0, x1, y1 in pixels (see `core.samples.Marks`); a point is a box
without extent. Only pairs that qualify are listed, so that whole slides fit in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from histocerb.metrics.matching import Float, Int

Boxes = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Pairs:
    """The K pairs of a mark and a detection that qualify.

    Attributes:
        truth: K rows of the marks; pairs are ordered by mark, then by detection.
        pred: K rows of the detections.
        closeness: K, higher is better: IoU, or distance of the centres in pixels, negated.
    """

    truth: Int
    pred: Int
    closeness: Float


def near(truth: Boxes, pred: Boxes, radius_px: float) -> Pairs:
    """Centres at most `radius_px` apart.

    Raises:
        ValueError: The radius is negative, or boxes are not N x 4 with x0 <= x1 and y0 <= y1.
    """
    if not radius_px >= 0:
        raise ValueError(f"expected a radius of at least 0 px, found {radius_px}")
    return _neighbours(_checked(truth), _checked(pred), radius_px, 2)


def within(truth: Boxes, pred: Boxes) -> Pairs:
    """The centre of the detection lies in the box of the mark, its border included.

    Raises:
        ValueError: Boxes are not N x 4 with x0 <= x1 and y0 <= y1.
    """
    truth, pred = _checked(truth), _checked(pred)
    close = _neighbours(truth, pred, _half_extent(truth), np.inf)
    box, point = truth[close.truth], _centres(pred)[close.pred]
    inside = ((box[:, :2] <= point) & (point <= box[:, 2:])).all(1)
    distance = np.linalg.norm(_centres(box) - point, axis=1)
    return Pairs(close.truth[inside], close.pred[inside], -distance[inside])


def overlapping(truth: Boxes, pred: Boxes, min_iou: float) -> Pairs:
    """Boxes with an intersection over union of at least `min_iou`.

    Raises:
        ValueError: `min_iou` is not above 0 and at most 1, or boxes are not N x 4 with x0 <= x1 and y0 <= y1.
    """
    if not 0 < min_iou <= 1:
        raise ValueError(f"expected an IoU above 0 and at most 1, found {min_iou}")
    truth, pred = _checked(truth), _checked(pred)
    close = _neighbours(truth, pred, _half_extent(truth) + _half_extent(pred), np.inf)
    a, b = truth[close.truth], pred[close.pred]
    shared = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(1)
    union = _areas(a) + _areas(b) - shared
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    enough = iou >= min_iou
    return Pairs(close.truth[enough], close.pred[enough], iou[enough])


def _neighbours(truth: Float, pred: Float, radius_px: float, norm: float) -> Pairs:
    """Pairs whose centres are at most `radius_px` apart in a p-norm."""
    if len(truth) == 0 or len(pred) == 0:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    trees = [cKDTree(_centres(boxes)) for boxes in (truth, pred)]
    found = trees[0].sparse_distance_matrix(trees[1], radius_px, p=norm, output_type="ndarray")
    found = found[np.lexsort((found["j"], found["i"]))]
    return Pairs(found["i"].astype(np.int64), found["j"].astype(np.int64), -found["v"])


def _checked(boxes: Boxes) -> Float:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"expected boxes of N x 4, found an array of shape {boxes.shape}")
    if not (boxes[:, :2] <= boxes[:, 2:]).all():
        raise ValueError("expected boxes with x0 <= x1 and y0 <= y1, found one that is turned over or nan")
    return boxes.astype(np.float64)


def _centres(boxes: Float) -> Float:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _areas(boxes: Float) -> Float:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(1))


def _half_extent(boxes: Float) -> float:
    """Half the longest side of all boxes."""
    return float((boxes[:, 2:] - boxes[:, :2]).max(initial=0.0)) / 2
