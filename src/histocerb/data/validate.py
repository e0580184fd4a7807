"""Refusing samples that contradict themselves or the spec."""

from __future__ import annotations

import numpy as np

from histocerb.core.errors import DataError
from histocerb.core.samples import Marks, ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS, MARKS, TaskSpec

_HIGHEST_ID = 2**24 - 1


def validate(sample: Sample, spec: TaskSpec = CERBERUS) -> None:
    """Refuse a sample that contradicts itself or the spec.

    Raises:
        DataError: sizes that differ, an unknown task, kind of mark or class, an id below 0 or above 2^24 - 1,
            a class of an id that has no pixels, a mark outside the image, no label at all.
    """
    who = f"{sample.source}/{sample.name}"
    shape = sample.image.shape
    if sample.image.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise DataError(
            f"{who}: expected an image of H x W x 3 uint8, found {shape} {sample.image.dtype}; convert it"
        )
    if not (sample.source and sample.name and sample.patient):
        raise DataError(f"{who}: expected source, name and patient, found an empty one; set it in the source")
    if not sample.objects and not sample.marks and sample.patch_class is None:
        raise DataError(f"{who}: expected a label of some task, found none; leave the sample out")
    patch_classes = spec.patch.classes if spec.patch else ()
    if sample.patch_class is not None and sample.patch_class not in patch_classes:
        raise DataError(
            f"{who}: expected one of {patch_classes}, found {sample.patch_class!r}; "
            "map it in data/class_names.py"
        )
    known = {task.name: {*task.classes, *task.groups} for task in spec.objects}
    for task, labels in sample.objects.items():
        if task not in known:
            raise DataError(f"{who}: expected one of the tasks {sorted(known)}, found {task!r}; rename it")
        _validate_labels(f"{who}, {task}", labels, shape[:2], known[task])
    for kind, marks in sample.marks.items():
        _validate_marks(f"{who}, {kind}", kind, marks, shape[:2])


def _validate_labels(who: str, labels: ObjectLabels, shape: tuple[int, ...], known: set[str]) -> None:
    ids = labels.ids
    if ids.shape != shape or not np.issubdtype(ids.dtype, np.integer):
        raise DataError(
            f"{who}: expected integer ids of {shape} pixels, found {ids.dtype} {ids.shape}; convert them"
        )
    if ids.min() < 0 or ids.max() > _HIGHEST_ID:
        raise DataError(
            f"{who}: expected ids from 0 to {_HIGHEST_ID}, found {ids.min()} to {ids.max()}; renumber them"
        )
    unknown = sorted(set(labels.classes.values()) - known)
    if unknown:
        raise DataError(
            f"{who}: expected classes {sorted(known)}, found {unknown}; map them in data/class_names.py"
        )
    absent = sorted(set(labels.classes) - set(np.unique(ids).tolist()) | ({0} & set(labels.classes)))
    if absent:
        raise DataError(
            f"{who}: expected pixels of every id that has a class, found none for {absent[:5]}; drop them"
        )


def _validate_marks(who: str, kind: str, marks: Marks, shape: tuple[int, ...]) -> None:
    if kind not in MARKS:
        raise DataError(f"{who}: expected one of the marks {sorted(MARKS)}, found {kind!r}; rename it")
    boxes = marks.boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4 or len(boxes) != len(marks.classes):
        raise DataError(
            f"{who}: expected N x 4 boxes with N classes, found {boxes.shape} with {len(marks.classes)}; "
            "correct the source"
        )
    unknown = sorted(set(marks.classes) - {"", *MARKS[kind]})
    if unknown:
        raise DataError(f"{who}: expected classes {MARKS[kind]}, found {unknown}; map them")
    limits = np.array([shape[1], shape[0]] * 2, np.float32)
    inside = np.isfinite(boxes).all(1) & (boxes >= 0).all(1) & (boxes <= limits).all(1)
    if not (inside & (boxes[:, :2] <= boxes[:, 2:]).all(1)).all():
        raise DataError(
            f"{who}: expected boxes within {shape[1]} x {shape[0]} pixels, "
            f"found {boxes[~inside][:1].tolist() or 'one that is turned around'}; correct them"
        )
