"""A model on splits of a store: what is measured, on what, and the document about it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from histocerb.core.errors import UsageError
from histocerb.core.samples import Sample
from histocerb.core.tasks import TaskSpec
from histocerb.data.manifest import Record
from histocerb.data.store import Store
from histocerb.training.evaluation.evaluate import Predict, Watch, evaluate
from histocerb.training.evaluation.image import object_tasks, task_of_marks

Progress = Callable[[Iterable[Sample], int], Iterable[Sample]]
"""Passes samples on, of which there are so many, and may show how far it is."""


@dataclass(frozen=True)
class Measured:
    """A model.

    Attributes:
        path: name of a packaged model, or checkpoint folder.
        sha256: of its weights.
        spec: its tasks.
        predict: from an image to maps.
    """

    path: str
    sha256: str
    spec: TaskSpec
    predict: Predict


@dataclass(frozen=True)
class Choice:
    """Images of a store.

    Attributes:
        splits: names.
        most: at most so many images per source and split (see `first_few`); None: all.
        sources: names of data sets; none: all.
    """

    splits: tuple[str, ...]
    most: int | None = None
    sources: tuple[str, ...] = ()


def measure(
    store: Store,
    choice: Choice,
    model: Measured,
    *,
    watch: Watch | None = None,
    progress: Progress = lambda samples, _: samples,
) -> dict[str, Any]:
    """The document of a model on splits of a store: `evaluate` with what the model and the data were.

    Args:
        store: the images.
        choice: which of them.
        model: what is measured.
        watch: told about every image with objects.
        progress: shows how far it is.

    Raises:
        UsageError: a split or source that the store does not have, or nothing in it that the model has a
            task for.
    """
    indices = chosen(store, choice)
    about = origin(store, choice, model)
    found = evaluate(
        progress(store.samples(indices), len(indices)),
        model.predict,
        model.spec,
        split_of={store.records[i].who: store.records[i].split for i in indices},
        watch=watch,
    )
    version = {"histocerb": found["histocerb"]}
    return {**version, **about, "images": found["images"], "summary": found["summary"]}


def origin(store: Store, choice: Choice, model: Measured) -> dict[str, Any]:
    """The parts `model` and `data` of a document, known before anything is measured.

    Raises:
        UsageError: as `measure` does.
    """
    records = [store.records[i] for i in chosen(store, choice)]
    tasks = Counter(name for record in records for name in _annotated(record, model.spec))
    missing = {name: n for name, n in sorted(tasks.items()) if not _has(model.spec, name)}
    if len(missing) == len(tasks):
        raise UsageError(
            f"{store.path}: expected images annotated for a task of the model "
            f"({', '.join(task.name for task in model.spec.tasks)}) in {', '.join(choice.splits)}, found "
            f"{', '.join(missing) or 'none with labels'}; choose another --model, --split or --source"
        )
    return {
        "model": {"path": model.path, "sha256": model.sha256},
        "data": {
            "store": str(store.path),
            "fingerprint": fingerprint(records),
            "splits": list(choice.splits),
            "not_measured": missing,
        },
    }


def chosen(store: Store, choice: Choice) -> list[int]:
    """Places of the chosen images in the store.

    Raises:
        UsageError: a split or source that the store does not have.
    """
    _check_known(store, "split", choice.splits, {record.split for record in store.records})
    _check_known(store, "source", choice.sources, {record.source for record in store.records})
    wanted = store.indices(splits=choice.splits)
    found = [i for i in wanted if not choice.sources or store.records[i].source in choice.sources]
    return found if choice.most is None else first_few(store, found, choice.most)


def first_few(store: Store, indices: Iterable[int], most: int) -> list[int]:
    """At most so many of these images per source and split, in order of place.

    They are the first by a hash of their names, the same on every machine. The first by name would often be
    of one class or patient, which names begin with.
    """
    taken: Counter[tuple[str, str]] = Counter()
    found = []
    for index in sorted(indices, key=lambda i: hashlib.sha256(store.records[i].who.encode()).digest()):
        record = store.records[index]
        taken[record.source, record.split] += 1
        if taken[record.source, record.split] <= most:
            found.append(index)
    return sorted(found)


def _check_known(store: Store, what: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(
                f"expected a {what} of {store.path} ({', '.join(sorted(known)) or 'it is empty'}), found "
                f"{name!r}; choose one of them"
            )


def fingerprint(records: Sequence[Record]) -> str:
    """Changes when an image, its labels or its split does: sha256 of names, splits, checksums and classes."""
    lines = sorted(json.dumps(_decisive(record)) for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _decisive(record: Record) -> list[Any]:
    """What the checksum of a sample's bytes does not cover is what its numbers of classes mean."""
    labels = [[label.task, *label.vocabulary] for label in record.labels]
    marks = [[mark.kind, *mark.vocabulary] for mark in record.marks]
    return [record.who, record.split, record.checksum, record.patch_class, labels, marks]


def _annotated(record: Record, spec: TaskSpec) -> list[str]:
    """Names of tasks; what the model has no task for by its own name (kind of mark, patch class)."""
    found = [label.task for label in record.labels]
    found += [task_of_marks(mark.kind, spec) or mark.kind for mark in record.marks]
    if record.patch_class is not None:
        found.append(spec.patch.name if spec.patch else "patch class")
    return list(dict.fromkeys(found))


def _has(spec: TaskSpec, name: str) -> bool:
    patch = [spec.patch.name] if spec.patch else []
    return name in (*patch, *(task.name for task in object_tasks(spec)))
