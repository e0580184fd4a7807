"""Public data sets: one function each, from a folder as published to samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS, HeadKind, TaskSpec
from histocerb.data.sources.consep import consep
from histocerb.data.sources.glas import glas

Source = Callable[[Path], Iterator[Sample]]

SOURCES: dict[str, Source] = {"glas": glas, "consep": consep}
"""Data sets that are read from a folder, by short name."""


def keep_heads(
    samples: Iterable[Sample], heads: Collection[str], spec: TaskSpec = CERBERUS
) -> Iterator[Sample]:
    """The same samples with labels for the heads of those names only (to make partly labelled sets).

    Objects stay with their instance head, their classes if the type head is there too, the class of a patch
    with its own.
    """
    instance = {t.name for t in spec.tasks if (h := t.head(HeadKind.INSTANCE)) and h.name in heads}
    typed = {t.name for t in spec.tasks if (h := t.head(HeadKind.TYPE)) and h.name in heads}
    patch = spec.patch.head(HeadKind.PATCH) if spec.patch else None
    for sample in samples:
        objects = {
            task: ObjectLabels(labels.ids, labels.classes if task in typed else {})
            for task, labels in sample.objects.items()
            if task in instance
        }
        patch_class = sample.patch_class if patch is not None and patch.name in heads else None
        yield replace(sample, objects=objects, patch_class=patch_class)
