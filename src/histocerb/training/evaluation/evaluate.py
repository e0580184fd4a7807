"""Every figure that a report or a model card names, from images and the maps of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb._version import __version__
from histocerb.core.instances import InstanceTable
from histocerb.core.samples import Sample
from histocerb.core.tasks import TaskSpec
from histocerb.metrics.class_report import Guesses, class_report
from histocerb.metrics.quality import ImageQuality, Judged, judge, wording
from histocerb.metrics.report import image_figures, task_report
from histocerb.postproc import postprocess
from histocerb.training.evaluation.image import (
    Maps,
    PatchAnswer,
    object_qualities,
    patch_answer,
    truth_of,
)

Predict = Callable[[npt.NDArray[np.uint8]], Maps]
"""From an H x W x 3 RGB image at the working resolution to probability maps by head name."""

Watch = Callable[[Sample, Mapping[str, InstanceTable], Mapping[str, ImageQuality]], None]
"""Told about every image: what was found in it, and how good that is."""

ALL = "all"
"""Name of the summary over all sources."""


@dataclass(frozen=True)
class Compared:
    """What was found in a sample against its truth, without its pixels."""

    source: str
    name: str
    patient: str
    qualities: Mapping[str, ImageQuality]
    patch: PatchAnswer | None

    @property
    def key(self) -> str:
        """Source and name."""
        return f"{self.source}/{self.name}"

    @property
    def whose(self) -> str:
        """The patient; where nobody says who that is, nobody else."""
        return self.patient or self.key


def evaluate(
    samples: Iterable[Sample],
    predict: Predict,
    spec: TaskSpec,
    *,
    split_of: Mapping[str, str] | None = None,
    watch: Watch | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures per image, and per source and task; only what a sample is annotated for counts.

    Args:
        samples: at the working resolution.
        predict: the model.
        spec: its tasks.
        split_of: split per `source/name`, to be written down.
        watch: told about every image with objects.
        seed: of the bootstrap intervals.

    Returns:
        `histocerb` (version), `images` and `summary`, ready for JSON; the reference of the report says what
        is in them. `measure` adds what the model and the data were.

    Raises:
        UsageError: a class in the truth that the model does not know.
    """
    images = []
    for sample in samples:
        found = compared(sample, predict, spec, watch)
        if found is not None:
            images.append(found)
    judged = _judged(images, spec)
    splits = split_of or {}
    return {
        "histocerb": __version__,
        "images": [_row(image, judged[image.key], spec, splits.get(image.key, "")) for image in images],
        "summary": _summaries(images, judged, spec, seed),
    }


def compared(sample: Sample, predict: Predict, spec: TaskSpec, watch: Watch | None = None) -> Compared | None:
    """One sample; None where it is annotated for no task of the model."""
    truth = truth_of(sample, spec)
    if not truth:
        return None
    maps = predict(sample.image)
    qualities: dict[str, ImageQuality] = {}
    if truth.objects or truth.marks:
        tables = postprocess(maps, spec)
        qualities = object_qualities(truth, tables, maps, spec, sample.mpp)
        if watch is not None:
            watch(sample, tables, qualities)
    patch = patch_answer(truth, maps, spec)
    return Compared(sample.source, sample.name, sample.patient, qualities, patch)


def _judged(images: Sequence[Compared], spec: TaskSpec) -> dict[str, dict[str, Judged]]:
    """Per image and task; classes are called as all images of a source together call them."""
    found: dict[str, dict[str, Judged]] = {image.key: {} for image in images}
    for source in {image.source for image in images}:
        own = [image for image in images if image.source == source]
        for name in dict.fromkeys(name for image in own for name in image.qualities):
            task = spec.task(name)
            with_task = [image for image in own if name in image.qualities]
            words = wording(task, [image.qualities[name].truth_classes for image in with_task])
            for image in with_task:
                found[image.key][name] = judge(image.qualities[name], task, words)
    return found


def _row(image: Compared, judged: Mapping[str, Judged], spec: TaskSpec, split: str) -> dict[str, Any]:
    tasks: dict[str, Any] = {name: image_figures(one) for name, one in judged.items()}
    if image.patch is not None and spec.patch is not None:
        guess = int(image.patch.probabilities.argmax())
        tasks[spec.patch.name] = {
            "truth": spec.patch.classes[image.patch.truth],
            "class": spec.patch.classes[guess],
            "probability": float(image.patch.probabilities[guess]),
            "right": float(guess == image.patch.truth),
        }
    return {
        "id": image.key,
        "source": image.source,
        "split": split,
        "patient": image.patient,
        "tasks": tasks,
    }


def _summaries(
    images: Sequence[Compared], judged: Mapping[str, Mapping[str, Judged]], spec: TaskSpec, seed: int
) -> dict[str, Any]:
    """Per source, and over all; where there is one source, both are the same."""
    sources = sorted({image.source for image in images})
    per_source = {
        source: _summary([image for image in images if image.source == source], judged, spec, seed)
        for source in sources
    }
    everything = per_source[sources[0]] if len(sources) == 1 else _summary(images, judged, spec, seed)
    return {ALL: everything, **per_source}


def _summary(
    images: Sequence[Compared], judged: Mapping[str, Mapping[str, Judged]], spec: TaskSpec, seed: int
) -> dict[str, Any]:
    tasks = [task.name for task in spec.tasks]
    found: dict[str, Any] = {}
    for name in tasks:
        with_task = [image for image in images if name in judged[image.key]]
        if with_task:
            of_task = [judged[image.key][name] for image in with_task]
            found[name] = task_report(of_task, [image.whose for image in with_task], seed)
    answers = [image.patch for image in images if image.patch is not None]
    patients = [image.whose for image in images if image.patch is not None]
    if answers and spec.patch is not None:
        probabilities = np.stack([answer.probabilities for answer in answers])
        truth = np.array([answer.truth for answer in answers])
        each = np.arange(len(answers))
        guess, confidence = probabilities.argmax(1), probabilities.max(1)
        guesses = Guesses(spec.patch.classes, each, truth, guess, confidence, probabilities)
        report = class_report(guesses, patients, seed)
        found[spec.patch.name] = {"images": len(answers), "patients": len(set(patients)), **report}
    return found
