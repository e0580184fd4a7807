"""How good a model is on annotated images: every figure that a report or a model card names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.instances import InstanceTable
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import HeadKind, Task, TaskSpec
from histocerb.metrics.classification import average_precision_per_class, confusion, f1_per_class
from histocerb.metrics.matching import match
from histocerb.metrics.report import ImageQuality, image_quality, report
from histocerb.metrics.segmentation import MATCH_IOU, mean_of_defined
from histocerb.postproc import postprocess

Predict = Callable[[npt.NDArray[np.uint8]], Mapping[str, npt.NDArray[Any]]]
"""From an H x W x 3 RGB image at the working resolution to probability maps by head name."""


@dataclass
class _ObjectScores:
    """What one source says about its objects, image by image."""

    images: list[dict[str, ImageQuality]] = field(default_factory=list)
    types: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Per task (truth, prediction) of matched pairs."""

    def add(self, sample: Sample, tables: Mapping[str, InstanceTable], spec: TaskSpec) -> None:
        """Compare one image with its truth."""
        shape = sample.image.shape[0], sample.image.shape[1]
        found = {name: _labels(tables[name], shape) for name in sample.objects}
        used = {name for truth in sample.objects.values() for name in truth.classes.values()}
        self.images.append(image_quality(sample.objects, found, spec, used))
        for name, truth in sample.objects.items():
            self.types.setdefault(name, []).extend(_matched_types(truth, found[name]))

    def report(self, spec: TaskSpec) -> dict[str, Any]:
        """Figures per task."""
        document: dict[str, Any] = {name: dict(figures) for name, figures in report(self.images).items()}
        for name, pairs in self.types.items():
            if pairs:
                document[name]["types"] = _type_report(pairs, spec.task(name))
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
            "map": mean_of_defined([precision.values[code] for code in present]),
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
    objects: dict[str, _ObjectScores] = {}
    patches: dict[str, _PatchScores] = {}
    for sample in samples:
        maps = predict(sample.image)
        if sample.objects:
            scores = objects.setdefault(sample.source, _ObjectScores())
            scores.add(sample, postprocess(maps, spec), spec)
        if sample.patch_class is not None and spec.patch is not None:
            patch = patches.setdefault(sample.source, _PatchScores())
            patch.truth.append(spec.patch.classes.index(sample.patch_class))
            patch.probabilities.append(_patch_probabilities(maps, spec.patch))
    document = {source: scores.report(spec) for source, scores in objects.items()}
    for source, patch in patches.items():
        assert spec.patch is not None
        document.setdefault(source, {})[spec.patch.name] = patch.report(spec.patch.classes)
    return document


def _patch_probabilities(maps: Mapping[str, npt.NDArray[Any]], task: Task) -> npt.NDArray[np.floating[Any]]:
    """Mean over the cells of an image."""
    head = task.head(HeadKind.PATCH)
    assert head is not None
    mean: npt.NDArray[np.floating[Any]] = maps[head.name].reshape(-1, len(head.channels)).mean(0)
    return mean


def _labels(found: InstanceTable, shape: tuple[int, int]) -> ObjectLabels:
    """Rows as labels: id is row number + 1."""
    names = enumerate(found.class_names(), start=1)
    return ObjectLabels(found.label_image(shape), {row: name for row, name in names if name is not None})


def _matched_types(truth: ObjectLabels, found: ObjectLabels) -> list[tuple[str, str]]:
    overlaps = match(truth.ids, found.ids)
    pairs = []
    for pair in np.flatnonzero(overlaps.iou > MATCH_IOU):
        expected = truth.classes.get(int(overlaps.truth_ids[overlaps.truth[pair]]))
        guess = found.classes.get(int(overlaps.pred_ids[overlaps.pred[pair]]))
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
