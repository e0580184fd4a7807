"""What is in a store: counts per source, task, class and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from histocerb.data.manifest import Record


@dataclass(frozen=True)
class Count:
    """One line of the table.

    Attributes:
        source: short name of the data set.
        task: task, kind of mark, or the name of the patch task.
        label: class or class group; "" for objects of unknown class.
        per_split: objects, marks or patches in each split.
    """

    source: str
    task: str
    label: str
    per_split: dict[str, int]


def counts(records: Iterable[Record], patch_task: str) -> list[Count]:
    """Objects, marks and patches of every source, task, class and split, in that order."""
    found: dict[tuple[str, str, str], Counter[str]] = {}
    for record in records:
        for task, label, number in _contents(record, patch_task):
            found.setdefault((record.source, task, label), Counter())[record.split] += number
    return [Count(*key, dict(sorted(number.items()))) for key, number in sorted(found.items())]


def samples_per_split(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Number of samples per source and split."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        found.setdefault(record.source, Counter())[record.split] += 1
    return {source: dict(sorted(number.items())) for source, number in sorted(found.items())}


def _contents(record: Record, patch_task: str) -> Iterator[tuple[str, str, int]]:
    if record.patch_class is not None:
        yield patch_task, record.patch_class, 1
    for label in record.labels:
        for name, number in zip(label.vocabulary, label.per_class, strict=True):
            yield label.task, name, number
        yield label.task, "", label.n_objects - label.n_typed
    for mark in record.marks:
        for name, number in zip(mark.vocabulary, mark.per_class, strict=True):
            yield mark.kind, name, number
