"""One annotated image: what a model's maps say about it, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import UsageError
from histocerb.core.instances import InstanceTable
from histocerb.core.samples import Marks, ObjectLabels, Sample
from histocerb.core.tasks import MARKS, HeadKind, Task, TaskSpec
from histocerb.metrics.matching import Float
from histocerb.metrics.quality import ImageQuality, mark_quality, outline_quality

Maps = Mapping[str, npt.NDArray[Any]]
"""Probability maps by head name."""


@dataclass(frozen=True)
class PatchAnswer:
    """What was said about an image that has one class.

    Attributes:
        truth: code of the class.
        probabilities: C, mean over the cells of the image.
    """

    truth: int
    probabilities: Float


@dataclass(frozen=True)
class Truth:
    """What an image is annotated for, as far as a model has the tasks.

    Attributes:
        objects: outlines per task name.
        marks: places per task name, where there are no outlines.
        patch: code of the class of the whole image, or None.
    """

    objects: Mapping[str, ObjectLabels]
    marks: Mapping[str, Marks]
    patch: int | None

    def __bool__(self) -> bool:
        return bool(self.objects or self.marks) or self.patch is not None


def truth_of(sample: Sample, spec: TaskSpec) -> Truth:
    """The annotation of a sample that a model with these tasks can be compared with.

    Raises:
        UsageError: a class that the model does not know.
    """
    tasks = {task.name: task for task in object_tasks(spec)}
    objects = {name: labels for name, labels in sample.objects.items() if name in tasks}
    named = {task_of_marks(kind, spec): marks for kind, marks in sample.marks.items()}
    marks = {name: found for name, found in named.items() if name is not None and name not in objects}
    for name, labels in objects.items():
        _check_classes(sample, tasks[name], labels.classes.values())
    patch = None
    if sample.patch_class is not None and spec.patch is not None:
        _check_classes(sample, spec.patch, [sample.patch_class])
        patch = spec.patch.classes.index(sample.patch_class)
    return Truth(objects, marks, patch)


def object_tasks(spec: TaskSpec) -> tuple[Task, ...]:
    """Tasks whose objects a model finds."""
    return tuple(task for task in spec.objects if task.head(HeadKind.INSTANCE) is not None)


def task_of_marks(kind: str, spec: TaskSpec) -> str | None:
    """Name of the task whose objects have all the classes of that kind of mark; None without one."""
    classes = set(MARKS[kind])
    return next((task.name for task in object_tasks(spec) if classes <= {*task.classes, *task.groups}), None)


def object_qualities(
    truth: Truth, tables: Mapping[str, InstanceTable], maps: Maps, spec: TaskSpec, mpp: float
) -> dict[str, ImageQuality]:
    """Quality per task name."""
    found = {}
    for name in (*truth.objects, *truth.marks):
        table, task = tables[name], spec.task(name)
        probabilities = class_probabilities(table, task, maps)
        if name in truth.objects:
            found[name] = outline_quality(truth.objects[name], table, probabilities, mpp)
        else:
            found[name] = mark_quality(truth.marks[name], table, probabilities, mpp)
    return found


def class_probabilities(found: InstanceTable, task: Task, maps: Maps) -> Float:
    """Probability of each class of a task for every object, N x C; N x 0 where objects are not typed.

    It is the mean over the pixels of an object of the type head's probabilities, without its first channel
    (none), scaled to a sum of 1.
    """
    head = task.head(HeadKind.TYPE)
    if head is None or head.name not in maps:
        return np.zeros((len(found), 0))
    types = maps[head.name]
    labels = found.label_image((types.shape[0], types.shape[1]))
    inside = labels > 0
    pixels = types[inside] if types.ndim == 3 else np.eye(len(head.channels))[types[inside]]
    owner = labels[inside] - 1
    sums = [
        np.bincount(owner, pixels[:, code], len(found)) + np.finfo(np.float32).tiny
        for code in range(1, len(head.channels))
    ]
    table = np.stack(sums, axis=1)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def patch_answer(truth: Truth, maps: Maps, spec: TaskSpec) -> PatchAnswer | None:
    """What the patch head says about the whole image; None where nothing is known of it."""
    head = spec.patch.head(HeadKind.PATCH) if spec.patch else None
    if truth.patch is None or head is None:
        return None
    cells = maps[head.name].reshape(-1, len(head.channels)).astype(np.float64)
    return PatchAnswer(truth.patch, cells.mean(axis=0))


def _check_classes(sample: Sample, task: Task, names: Any) -> None:
    unknown = sorted(set(names) - {*task.classes, *task.groups}) if task.classes else []
    if unknown:
        raise UsageError(
            f"{sample.source}/{sample.name}: expected classes of the model's task {task.name} "
            f"({', '.join(task.classes)}), found {unknown[0]!r}; evaluate a model that was trained for it"
        )
