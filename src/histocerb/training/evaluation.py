"""How good a model is on annotated images: every figure that a report or a model card names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.instances import InstanceTable
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import HeadKind, Task, TaskSpec
from histocerb.metrics.classification import average_precision_per_class, confusion, f1_per_class
from histocerb.metrics.interval import summarise
from histocerb.metrics.matching import Overlaps, match
from histocerb.metrics.objects import DetectionCounts, object_dice, object_f1
from histocerb.metrics.segmentation import MATCH_IOU, PanopticQuality, aji, dice, panoptic_quality
from histocerb.postproc import postprocess

Predict = Callable[[npt.NDArray[np.uint8]], Mapping[str, npt.NDArray[Any]]]
"""From an H x W x 3 RGB image at the working resolution to probability maps by head name."""


@dataclass
class _ObjectScores:
    """What one source says about one task, image by image."""

    dice: list[float] = field(default_factory=list)
    quality: list[PanopticQuality] = field(default_factory=list)
    aji: list[float] = field(default_factory=list)
    object_dice: list[float] = field(default_factory=list)
    detection: list[DetectionCounts] = field(default_factory=list)
    types: list[tuple[str, str]] = field(default_factory=list)
    """(truth, prediction) of matched pairs."""

    def add(self, truth: ObjectLabels, found: InstanceTable) -> None:
        """Compare one image with its truth."""
        predicted = found.label_image((truth.ids.shape[0], truth.ids.shape[1]))
        overlaps = match(truth.ids, predicted)
        self.dice.append(dice(truth.ids > 0, predicted > 0))
        self.quality.append(panoptic_quality(overlaps))
        self.aji.append(aji(overlaps))
        self.object_dice.append(object_dice(overlaps).value)
        self.detection.append(object_f1(overlaps))
        self.types.extend(_matched_types(overlaps, truth, found))

    def report(self, task: Task) -> dict[str, Any]:
        """Summaries over images; detection F1 over all objects as the GlaS challenge counts."""
        pooled = sum(self.detection, DetectionCounts(0, 0, 0))
        document: dict[str, Any] = {
            "images": len(self.dice),
            "dice": _summary(self.dice),
            "pq": _summary([quality.pq for quality in self.quality]),
            "dq": _summary([quality.dq for quality in self.quality]),
            "sq": _summary([quality.sq for quality in self.quality]),
            "aji": _summary(self.aji),
            "object_dice": _summary(self.object_dice),
            "detection_f1": pooled.f1,
        }
        if self.types:
            document["types"] = _type_report(self.types, task)
        return document


@dataclass
class _PatchScores:
    """What one source says about the classes of patches."""

    truth: list[int] = field(default_factory=list)
    probabilities: list[npt.NDArray[np.floating[Any]]] = field(default_factory=list)

    def report(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Accuracy, F1 and average precision over the classes that occur."""
        truth, probabilities = np.array(self.truth), np.stack(self.probabilities)
        guess = probabilities.argmax(1)
        counts = confusion(truth, guess, len(classes))
        f1, precision = (
            f1_per_class(counts, classes),
            average_precision_per_class(truth, probabilities, classes),
        )
        present = [code for code in range(len(classes)) if counts[code].any()]
        return {
            "patches": len(truth),
            "accuracy": float((guess == truth).mean()),
            "mf1": float(np.mean([f1.values[code] for code in present])),
            "map": float(np.mean([precision.values[code] for code in present])),
            "f1": {classes[code]: f1.values[code] for code in present},
            "confusion": counts.tolist(),
        }


def evaluate(samples: Iterable[Sample], predict: Predict, spec: TaskSpec) -> dict[str, Any]:
    """Figures per source and task; only what a sample is annotated for counts.

    Args:
        samples: at the working resolution.
        predict: the model.
        spec: its tasks.

    Returns:
        {source: {task: figures}}, ready for JSON. A summary is n, mean, SD over images and a 95 % bootstrap
        interval.
    """
    objects: dict[str, dict[str, _ObjectScores]] = {}
    patches: dict[str, _PatchScores] = {}
    for sample in samples:
        maps = predict(sample.image)
        if sample.objects:
            tables = postprocess(maps, spec)
            scores = objects.setdefault(sample.source, {})
            for name, truth in sample.objects.items():
                scores.setdefault(name, _ObjectScores()).add(truth, tables[name])
        if sample.patch_class is not None and spec.patch is not None:
            patch = patches.setdefault(sample.source, _PatchScores())
            patch.truth.append(spec.patch.classes.index(sample.patch_class))
            patch.probabilities.append(_patch_probabilities(maps, spec.patch))
    report: dict[str, Any] = {
        source: {name: score.report(spec.task(name)) for name, score in scores.items()}
        for source, scores in objects.items()
    }
    for source, patch in patches.items():
        assert spec.patch is not None
        report.setdefault(source, {})[spec.patch.name] = patch.report(spec.patch.classes)
    return report


def _patch_probabilities(maps: Mapping[str, npt.NDArray[Any]], task: Task) -> npt.NDArray[np.floating[Any]]:
    """Mean over the cells of an image."""
    head = task.head(HeadKind.PATCH)
    assert head is not None
    mean: npt.NDArray[np.floating[Any]] = maps[head.name].reshape(-1, len(head.channels)).mean(0)
    return mean


def _matched_types(overlaps: Overlaps, truth: ObjectLabels, found: InstanceTable) -> list[tuple[str, str]]:
    names = found.class_names()
    pairs = []
    for pair in np.flatnonzero(overlaps.iou > MATCH_IOU):
        expected = truth.classes.get(int(overlaps.truth_ids[overlaps.truth[pair]]))
        guess = names[int(overlaps.pred_ids[overlaps.pred[pair]]) - 1]
        if expected is not None and guess is not None:
            pairs.append((expected, guess))
    return pairs


def _type_report(types: list[tuple[str, str]], task: Task) -> dict[str, Any]:
    """Accuracy and F1 of matched objects; predictions are merged into the groups that the truth uses."""
    used = {expected for expected, _ in types}
    merged = {member: group for group in used for member in task.groups.get(group, ())}
    pairs = [(expected, merged.get(guess, guess)) for expected, guess in types]
    f1 = {}
    for name in sorted(used):
        tp = sum(expected == guess == name for expected, guess in pairs)
        total = sum(expected == name for expected, _ in pairs) + sum(guess == name for _, guess in pairs)
        f1[name] = 2 * tp / total
    return {
        "matched": len(pairs),
        "accuracy": float(np.mean([expected == guess for expected, guess in pairs])),
        "mf1": float(np.mean(list(f1.values()))),
        "f1": f1,
    }


def _summary(values: list[float]) -> dict[str, Any]:
    return asdict(summarise(values))
