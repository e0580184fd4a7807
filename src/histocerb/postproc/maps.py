"""Head maps as post-processing sees them: bytes, at the resolution at which a task is computed.

Probabilities are quantised first, q = rint(255 p), and every threshold p > t is evaluated on integers as q
> 255 t, so that maps that went through a file of bytes give the same objects as those that did not.

A task with `downsample` 1/k is computed on a map reduced k times: the mean of k x k bytes, rounded half up,
on a grid aligned to the origin; where a side is no multiple of k its last row or column is repeated. Class
maps are sampled at every k-th pixel, beginning with the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import UsageError
from histocerb.core.tasks import HeadKind, PostprocParams, Task
from histocerb.postproc.arrays import U8, Bool

_INSIDE, _CONTOUR = 1, 2


@dataclass(frozen=True)
class TaskMaps:
    """All that decides about the objects of one task, at the resolution of that task.

    Attributes:
        inside: H x W uint8, quantised probability of the inside channel.
        contour: H x W uint8, the same of the contour channel.
        types: H x W uint8 arg-max class (0: none), or None where objects are not typed.
        container: H x W bool, pixels in which objects may lie, or None: everywhere.
    """

    inside: U8
    contour: U8
    types: U8 | None = None
    container: Bool | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.inside.shape[0], self.inside.shape[1]

    def cut(self, window: tuple[slice, slice]) -> TaskMaps:
        """The maps within row and column slices, copied."""
        return TaskMaps(
            self.inside[window].copy(),
            self.contour[window].copy(),
            None if self.types is None else self.types[window].copy(),
            None if self.container is None else self.container[window].copy(),
        )


def quantise(prob: npt.ArrayLike) -> U8:
    """Bytes of probabilities: rint(255 p), the same shape. Bytes are returned as they are.

    Raises:
        UsageError: a value is not between 0 and 1.
    """
    values: npt.NDArray[Any] = np.asarray(prob)
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if values.size and not (values.min() >= -1e-3 and values.max() <= 1 + 1e-3):
        raise UsageError(
            f"Expected probabilities between 0 and 1, found {values.min():g} to {values.max():g}; "
            "apply a softmax to the logits first."
        )
    return np.asarray(np.rint(values * 255).clip(0, 255), np.uint8)


def cutoff(threshold: float) -> int:
    """The integer c for which p > threshold is q > c."""
    return math.floor(255 * threshold + 1e-9)


def factor(params: PostprocParams) -> int:
    """How many working pixels make one pixel of the task's maps, per side.

    Raises:
        UsageError: `downsample` is not 1/k for a whole k.
    """
    found = round(1 / params.downsample)
    if found < 1 or abs(found * params.downsample - 1) > 1e-9:
        raise UsageError(
            f"Expected downsample 1, 0.5, 0.25, ..., found {params.downsample}; choose one of these."
        )
    return found


def reduce_mean(values: U8, by: int) -> U8:
    """H x W bytes -> ceil(H / by) x ceil(W / by) means of by x by bytes, rounded half up."""
    if by == 1:
        return values
    rows, columns = (-(-side // by) for side in values.shape)
    missing = [(0, rows * by - values.shape[0]), (0, columns * by - values.shape[1])]
    padded = np.pad(values, missing, mode="edge")
    sums = np.full((rows, columns), by * by // 2, np.uint32)
    for row in range(by):
        for column in range(by):
            sums += padded[row::by, column::by]
    return (sums // (by * by)).astype(np.uint8)


def task_maps(
    maps: Mapping[str, npt.NDArray[np.generic]], task: Task, container: Bool | None = None
) -> TaskMaps:
    """The maps of one task, quantised and reduced.

    Args:
        maps: by head name, H x W x channels probabilities (or bytes); type maps may be H x W class numbers.
        task: a task that finds objects and whose instance head is among the maps.
        container: H x W bool at working resolution, see `TaskMaps`.

    Raises:
        UsageError: a map has another shape than its head or its neighbours.
    """
    head, type_head = task.head(HeadKind.INSTANCE), task.head(HeadKind.TYPE)
    if head is None or task.postproc is None:
        raise ValueError(f"task {task.name} finds no objects")
    found, by = np.asarray(maps[head.name]), factor(task.postproc)
    if found.ndim != 3 or found.shape[2] != len(head.channels):
        raise UsageError(
            f"Expected {head.name} as rows x columns x {len(head.channels)}, found shape {found.shape}; "
            f"its channels are {', '.join(head.channels)}."
        )
    types = None
    if type_head is not None and type_head.name in maps:
        types = _class_map(np.asarray(maps[type_head.name]), type_head.name, len(type_head.channels))
        if types.shape != found.shape[:2]:
            raise UsageError(
                f"Expected {type_head.name} of {found.shape[:2]} pixels like {head.name}, "
                f"found {types.shape}; give maps of one image."
            )
        types = np.ascontiguousarray(types[::by, ::by])
    return TaskMaps(
        inside=np.ascontiguousarray(reduce_mean(quantise(found[..., _INSIDE]), by)),
        contour=np.ascontiguousarray(reduce_mean(quantise(found[..., _CONTOUR]), by)),
        types=types,
        container=None if container is None else np.ascontiguousarray(container[::by, ::by]),
    )


def _class_map(found: npt.NDArray[np.generic], name: str, channels: int) -> U8:
    if found.ndim == 3 and found.shape[2] == channels:
        return np.asarray(np.argmax(found, axis=2), np.uint8)
    if found.ndim == 2 and found.dtype.kind in "ui":
        least, most = (int(found.min()), int(found.max())) if found.size else (0, 0)
        if least >= 0 and most < channels:
            return found.astype(np.uint8)
    raise UsageError(
        f"Expected {name} as rows x columns x {channels} probabilities or class numbers from 0 to "
        f"{channels - 1}, found {found.dtype} of shape {found.shape}; check the head's channels."
    )
