"""Leaving out labels, to make partly labelled sets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial

from histocerb.core.errors import UsageError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS, HeadKind, TaskSpec
from histocerb.data.sources.entry import Entry


def keep_heads(
    entries: Iterable[Entry], heads: Collection[str], spec: TaskSpec = CERBERUS
) -> Iterator[Entry]:
    """The same entries with labels for the heads of those names only.

    Objects stay with their instance head, their classes if the type head is there too, the class of a patch
    with its own.

    Raises:
        UsageError: a name that `spec` does not have.
    """
    known = [head.name for head in spec.heads]
    unknown = sorted(set(heads) - set(known))
    if unknown:
        raise UsageError(
            f"expected heads ({', '.join(known)}), found {', '.join(unknown)}; choose some of them"
        )
    recipe = ",".join(sorted(heads))
    for entry in entries:
        load = partial(_load, entry, frozenset(heads), spec)
        yield replace(entry, load=load, recipe=f"{entry.recipe} {recipe}")


def _load(entry: Entry, heads: frozenset[str], spec: TaskSpec) -> Sample:
    sample = entry.load()
    instance = {t.name for t in spec.tasks if (h := t.head(HeadKind.INSTANCE)) and h.name in heads}
    typed = {t.name for t in spec.tasks if (h := t.head(HeadKind.TYPE)) and h.name in heads}
    patch = spec.patch.head(HeadKind.PATCH) if spec.patch else None
    objects = {
        task: ObjectLabels(labels.ids, labels.classes if task in typed else {})
        for task, labels in sample.objects.items()
        if task in instance
    }
    kept = patch is not None and patch.name in heads
    return replace(sample, objects=objects, patch_class=sample.patch_class if kept else None)
