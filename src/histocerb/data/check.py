"""Is a store what it says? Every finding with what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.data.borders import split_pieces
from histocerb.data.duplicates import near_duplicates
from histocerb.data.manifest import Record
from histocerb.data.pixels import checksum
from histocerb.data.splits import leaks
from histocerb.data.store import PIXELS, Store
from histocerb.data.validate import validate


@dataclass(frozen=True)
class Finding:
    """Something that a person should know.

    Attributes:
        where: sample, or source, or the store.
        what: what was found.
        remedy: what to do.
        grave: training must not trust the store as it is; otherwise it is for information.
    """

    where: str
    what: str
    remedy: str
    grave: bool = True


_AGAIN = "convert the source again"


def check(path: Path, spec: TaskSpec = CERBERUS, workers: int = 1) -> list[Finding]:
    """Findings about the store in the folder `path`, [] when there are none.

    Grave are: changed or missing bytes; samples that contradict themselves, their record or the spec; names
    that occur twice; patients or images in two splits (looked for when every sample is sound).
    For information: objects in several pieces or of unknown class, images without structure or without
    objects, images that occur twice in one split.

    Raises:
        DataError: there is no store.
    """
    store = Store(path)
    with ThreadPoolExecutor(workers) as pool:
        per_sample = pool.map(partial(_sample, store, spec), range(len(store)))
        found = [finding for findings in per_sample for finding in findings]
    damaged = any(finding.grave for finding in found)
    found += [
        Finding(part.name, "a conversion that was not finished", "run it again, or delete it", False)
        for part in sorted((path / PIXELS).glob(".part-*"))
    ]
    return [*found, *_names(store), *(() if damaged else _duplicates(store))]


def _sample(store: Store, spec: TaskSpec, index: int) -> list[Finding]:
    record = store.records[index]
    try:
        data = store.read_bytes(index).tobytes()
        if len(data) != record.nbytes or checksum(data) != record.checksum:
            return [Finding(record.who, "its bytes are not those that were written", _AGAIN)]
        sample = store.sample(index)
        validate(sample, spec)
    except DataError as error:
        return [Finding(record.who, str(error), _AGAIN)]
    except (ValueError, LookupError) as error:
        return [Finding(record.who, f"its bytes are not what the manifest says: {error}", _AGAIN)]
    return [*_contradictions(record, sample), *_oddities(record, sample)]


def _contradictions(record: Record, sample: Sample) -> Iterator[Finding]:
    for label in record.labels:
        found = int(np.count_nonzero(np.unique(sample.objects[label.task].ids)))
        if found != label.n_objects:
            text = f"{label.task}: {label.n_objects} objects in the manifest, {found} in the pixels"
            yield Finding(record.who, text, _AGAIN)


def _oddities(record: Record, sample: Sample) -> Iterator[Finding]:
    if record.look is None and record.labels:
        yield Finding(record.who, "its image has no structure", "look at it; leave it out if empty", False)
    for label in record.labels:
        split = in_pieces(sample.objects[label.task].ids)
        if split:
            text = f"{label.task}: {split} of {label.n_objects} objects are in several pieces"
            yield Finding(record.who, text, "look at them; a piece of its own needs an id of its own", False)
        if label.n_objects == 0:
            yield Finding(record.who, f"{label.task}: no objects", "leave it out if they are missing", False)
        if 0 < label.n_typed < label.n_objects:
            text = f"{label.task}: {label.n_objects - label.n_typed} of {label.n_objects} without a class"
            yield Finding(record.who, text, "none: they are left out of the type loss", False)


def in_pieces(ids: npt.NDArray[np.int32]) -> int:
    """Number of objects of an H x W id map that consist of several 8-connected pieces."""
    pieces = split_pieces(ids)
    _, first = np.unique(pieces, return_index=True)
    owners = ids.ravel()[first]
    return int((np.unique(owners[owners > 0], return_counts=True)[1] > 1).sum())


def _names(store: Store) -> Iterator[Finding]:
    count: dict[str, int] = defaultdict(int)
    for record in store.records:
        count[record.who] += 1
    for who, n in count.items():
        if n > 1:
            yield Finding(who, f"the name occurs {n} times", _AGAIN)


def _duplicates(store: Store) -> Iterator[Finding]:
    pairs = near_duplicates([record.look for record in store.records], store.image)
    for text in leaks(store.records, pairs):
        yield Finding("splits", text, "split the store again (histocerb data split)")
    for i, j in pairs:
        first, second = store.records[i], store.records[j]
        if first.split == second.split:
            yield Finding(first.who, f"{second.who} shows the same image", "remove one of them", False)
