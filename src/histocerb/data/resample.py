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

    Images are averaged over the area of the new pixels (made larger: linear); ids are those at the centres of
    the new pixels; boxes are scaled. Objects too small to have such a pixel vanish, with their classes.

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
    factors = np.array([shape[1] / width, shape[0] / height] * 2, np.float32)
    marks = {kind: replace(found, boxes=found.boxes * factors) for kind, found in sample.marks.items()}
    image = resample_image(sample.image, shape)
    return replace(sample, image=image, mpp=mpp, objects=objects, marks=marks)


def resample_image(image: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """H x W x 3 uint8 image at `shape` (rows, columns)."""
    smaller = shape[0] < image.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=method), np.uint8)


def resample_ids(ids: npt.NDArray[np.int32], shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """H x W ids at `shape`: the id under the centre of each new pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(shape, ids.shape, strict=True)
    )
    return np.asarray(ids[rows[:, None], columns])


def _resample_labels(labels: ObjectLabels, shape: tuple[int, int]) -> ObjectLabels:
    ids = resample_ids(labels.ids, shape)
    left = set(np.unique(ids).tolist())
    return ObjectLabels(ids, {k: name for k, name in labels.classes.items() if k in left})
