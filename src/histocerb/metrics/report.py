"""Everything that is said about found objects against a truth: per image, then over images."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from histocerb.core.samples import ObjectLabels
from histocerb.core.tasks import Task, TaskSpec
from histocerb.metrics.interval import summarise
from histocerb.metrics.matching import match
from histocerb.metrics.objects import DetectionCounts, ObjectScore, object_dice, object_f1
from histocerb.metrics.segmentation import (
    ClassScores,
    PanopticQuality,
    aji,
    dice,
    mpq,
    mpq_plus,
    panoptic_quality,
    panoptic_quality_per_class,
)

Json = dict[str, object]


@dataclass(frozen=True)
class ImageQuality:
    """Objects of one task in one image against the truth.

    Attributes:
        dice: of all pixels of objects.
        panoptic: counts behind PQ, classes ignored.
        aji: aggregated Jaccard index.
        detection: counts of the GlaS challenge.
        object_dice: sums of the GlaS challenge.
        classes: counts behind PQ per class that the truth can name; {} where it has no classes.
    """

    dice: float
    panoptic: PanopticQuality
    aji: float
    detection: DetectionCounts
    object_dice: ObjectScore
    classes: dict[str, PanopticQuality] = field(default_factory=dict)


def image_quality(
    truth: Mapping[str, ObjectLabels],
    pred: Mapping[str, ObjectLabels],
    spec: TaskSpec,
    groups: Collection[str] = (),
) -> dict[str, ImageQuality]:
    """Quality per task name, for the tasks that both sides have.

    Args:
        truth: Per task, ids and classes.
        pred: The same for what was found.
        spec: The tasks.
        groups: Names of class groups (`Task.groups`) that the data set does not tell apart: their classes
            are judged as one.
    """
    return {
        task.name: _task_quality(truth[task.name], pred[task.name], task, groups)
        for task in spec.objects
        if task.name in truth and task.name in pred
    }


def _task_quality(
    truth: ObjectLabels, pred: ObjectLabels, task: Task, groups: Collection[str]
) -> ImageQuality:
    overlaps = match(truth.ids, pred.ids)
    word = {name: name for name in task.classes}
    for group in (name for name in task.groups if name in groups):
        word.update(dict.fromkeys(task.groups[group], group))
    names = tuple(dict.fromkeys(word.values())) if truth.classes else ()
    of_truth, of_pred = (
        {key: word.get(name, name) for key, name in labels.classes.items()} for labels in (truth, pred)
    )
    return ImageQuality(
        dice=dice(truth.ids > 0, pred.ids > 0),
        panoptic=panoptic_quality(overlaps),
        aji=aji(overlaps),
        detection=object_f1(overlaps),
        object_dice=object_dice(overlaps),
        classes=panoptic_quality_per_class(overlaps, of_truth, of_pred, names),
    )


def report(images: Sequence[Mapping[str, ImageQuality]], seed: int = 0) -> dict[str, Json]:
    """Summary per task over images, ready for JSON: nan is None.

    Dice, PQ and AJI are means over images with n, SD and a bootstrap 95 % interval; F1 and object Dice are
    pooled over images; mPQ and mPQ+ come with a value per class.
    """
    tasks = dict.fromkeys(name for image in images for name in image)
    return {name: _task_report([image[name] for image in images if name in image], seed) for name in tasks}


def _task_report(images: Sequence[ImageQuality], seed: int) -> Json:
    detection = sum((image.detection for image in images), DetectionCounts(0, 0, 0))
    pooled = sum((image.object_dice for image in images), ObjectScore(0.0, 0, 0.0, 0))
    result: Json = {
        "dice": _summary([image.dice for image in images], seed),
        "pq": _summary([image.panoptic.pq for image in images], seed),
        "dq": _summary([image.panoptic.dq for image in images], seed),
        "sq": _summary([image.panoptic.sq for image in images], seed),
        "aji": _summary([image.aji for image in images], seed),
        "object_f1": _number(detection.f1),
        "object_dice": _number(pooled.value),
    }
    typed = [image.classes for image in images if image.classes]
    if typed:
        result["mpq"] = _classes(mpq(typed))
        result["mpq_plus"] = _classes(mpq_plus(typed))
    return result


def _summary(values: Sequence[float], seed: int) -> Json:
    found = summarise(values, seed)
    numbers = {"mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high}
    return {"n": found.n, **{key: _number(value) for key, value in numbers.items()}}


def _classes(scores: ClassScores) -> Json:
    per_class = {name: _number(value) for name, value in zip(scores.classes, scores.values, strict=True)}
    return {"mean": _number(scores.mean), "classes": per_class}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
