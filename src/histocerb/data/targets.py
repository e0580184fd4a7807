"""What the heads shall say: targets made from the id map of a crop, for a whole map in one go."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.errors import UsageError
from histocerb.core.tasks import Task

INSIDE, CONTOUR = 1, 2
"""Channels of an instance head."""

UInt8 = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.integer[Any]]


def instance_target(ids: Ids, element_px: int, *, contour: bool = True, outer: bool = True) -> UInt8:
    """H x W uint8: 1 inside (eroded objects), 2 contour (their dilation minus their erosion), 0 elsewhere.

    A pixel is inside when all pixels under the ellipse of diameter `element_px` around it have its id, pixels
    outside the map not counting. It is contour when it is not inside and some object is under the ellipse.
    As the ellipse is symmetric, this is the union over objects eroded and dilated one by one, and no pixel is
    inside one object and contour of another. Without `outer`, objects are not dilated: contours end where
    they end. Without `contour`, only the eroded objects are marked (paper's "Cerberus"; with it,
    "Cerberus+").
    """
    values = _comparable(ids)
    element = ellipse(element_px)
    lowest, highest = cv2.erode(values, element), cv2.dilate(values, element)
    inside = (lowest == highest) & (lowest > 0)
    reached = highest if outer else values
    target = (reached > 0).astype(np.uint8) * np.uint8(CONTOUR if contour else 0)
    target[inside] = INSIDE
    return target


def type_target(ids: Ids, classes: Mapping[int, str], task: Task) -> UInt8:
    """H x W uint8: the row of `membership(task)` that holds for a pixel, 0 outside objects.

    Args:
        ids: H x W.
        classes: class or group name per id; ids that are missing have an unknown class, the last row.
        task: a task with a type head.
    """
    code = {name: i for i, name in enumerate(type_rows(task))}
    row_of_id = np.full(int(ids.max(initial=0)) + 1, len(code), np.uint8)
    row_of_id[0] = 0
    for k, name in classes.items():
        if k < len(row_of_id):
            row_of_id[k] = code[name]
    return row_of_id.take(ids)


def type_rows(task: Task) -> tuple[str, ...]:
    """What the values of a type target mean: no object, then the classes, then the class groups.

    One more value, `len(type_rows(task))`, is that of objects of no known class.
    """
    return ("", *task.classes, *task.groups)


def membership(task: Task) -> npt.NDArray[np.bool_]:
    """G x K: the channels of the type head that are right for each row of `type_rows`, then for unknown ones.

    Row 0 (no object) and the last (unknown) have none; a class has its own channel, a group those of its
    classes. The probability of a label is the sum of its channels. Channel 0 (none) is never right.
    """
    table = np.zeros((len(type_rows(task)) + 1, 1 + len(task.classes)), bool)
    for row, name in enumerate(type_rows(task)):
        for member in task.groups.get(name, (name,)):
            if member:
                table[row, 1 + task.classes.index(member)] = True
    return table


@lru_cache
def ellipse(diameter_px: int) -> UInt8:
    """The structuring element of that odd diameter (OpenCV's ellipse)."""
    if diameter_px < 1 or diameter_px % 2 == 0:
        raise UsageError(f"expected an odd diameter of the structuring element, found {diameter_px}; add 1")
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter_px, diameter_px)), np.uint8)


def _comparable(ids: Ids) -> npt.NDArray[Any]:
    """The ids in a type that OpenCV can compare without loss (up to 2^24)."""
    return ids.astype(np.uint16 if ids.max(initial=0) <= 65_535 else np.float32)
