"""Samples at another resolution: image and labels on the same grid."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import WORKING_MPP


def resample(sample: Sample, mpp: float = WORKING_MPP) -> Sample:
    """The sample at `mpp`; pixel corners at the origin stay where they are.

    Images are averaged over the area of the new pixels (made larger: linear); ids are those that cover most
    of the new pixels (`resample_ids`); boxes are scaled. Objects too small to have such a pixel vanish, with
    their classes.

    Raises:
        DataError: `sample.mpp` is not a length.
    """
    if not 0.01 < sample.mpp < 100:
        raise DataError(
            f"{sample.source}/{sample.name}: expected a resolution in um per pixel, found {sample.mpp}; "
            "correct it in the source"
        )
    height, width = sample.image.shape[:2]
    scale = sample.mpp / mpp
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    if shape == (height, width):
        return replace(sample, mpp=mpp)
    objects = {task: _resample_labels(labels, shape) for task, labels in sample.objects.items()}
    marks = {
        kind: replace(found, boxes=_resample_boxes(found.boxes, (height, width), shape))
        for kind, found in sample.marks.items()
    }
    image = resample_image(sample.image, shape)
    return replace(sample, image=image, mpp=mpp, objects=objects, marks=marks)


def resample_image(image: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """H x W x 3 uint8 image at `shape` (rows, columns).

    Areas are averaged only where no side grows: OpenCV's way to do so moves an image of which one side does.
    """
    smaller = shape[0] <= image.shape[0] and shape[1] <= image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=method), np.uint8)


def resample_ids(ids: npt.NDArray[np.int32], shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """H x W ids at `shape`: what covers most of each new pixel, as far as a grid of points in it tells.

    There are as many points per side as old pixels in a new one, rounded: where that is a whole number, every
    old pixel has one. (The centre alone, at half the resolution, lies on the corner of four old pixels:
    taking one of them moves all objects by a quarter of a new pixel.) Of ids that cover the same, that of the
    first point is taken, or of the last, in turns as on a chessboard, so that no object grows or moves.
    """
    points = [max(1, round(old / new)) for new, old in zip(shape, ids.shape, strict=True)]
    rows, columns = (
        ((np.arange(new * n) + 0.5) * old / (new * n)).astype(np.intp)
        for new, old, n in zip(shape, ids.shape, points, strict=True)
    )
    samples = ids[rows[:, None], columns].reshape(shape[0], points[0], shape[1], points[1])
    at_point = samples.transpose(1, 3, 0, 2).reshape(-1, *shape)
    return _most_frequent(at_point)


def _most_frequent(samples: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The most frequent of N x H x W values at each place, H x W; see `resample_ids` for ties."""
    count = len(samples)
    votes = np.stack([(samples == one).sum(0) for one in samples])
    even = np.add.outer(np.arange(samples.shape[1]), np.arange(samples.shape[2])) % 2 == 0
    turn = np.arange(count)[:, None, None]
    chosen = (votes * count + np.where(even, count - 1 - turn, turn)).argmax(0)
    return np.asarray(np.take_along_axis(samples, chosen[None], 0)[0], np.int32)


def _resample_boxes(
    boxes: npt.NDArray[np.float32], old: tuple[int, int], new: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Scaled; a box that ends at the border of the image does so exactly, whatever float32 makes of it."""
    old_size, new_size = (np.array([shape[1], shape[0]] * 2, np.float64) for shape in (old, new))
    scaled = (boxes * (new_size / old_size)).astype(np.float32)
    return np.asarray(np.where(boxes <= old_size, np.minimum(scaled, new_size), scaled), np.float32)


def _resample_labels(labels: ObjectLabels, shape: tuple[int, int]) -> ObjectLabels:
    ids = resample_ids(labels.ids, shape)
    left = set(np.unique(ids).tolist())
    return ObjectLabels(ids, {k: name for k, name in labels.classes.items() if k in left})
