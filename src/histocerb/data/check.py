"""Is a store what it says? Every problem as a sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from histocerb.core.errors import DataError
from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.data.convert import checksum, validate
from histocerb.data.store import Store


def check(path: Path, spec: TaskSpec = CERBERUS) -> list[str]:
    """Problems of the store in the folder `path`, [] when there are none.

    Found are: changed or missing bytes; ids without pixels or objects that were lost; classes of absent ids;
    unknown classes and tasks; names that occur twice; patients in two splits.

    Raises:
        DataError: there is no store.
    """
    store = Store(path)
    problems = [problem for index in range(len(store)) for problem in _sample(store, index, spec)]
    return [*problems, *_names(store), *_leaks(store)]


def _sample(store: Store, index: int, spec: TaskSpec) -> Iterator[str]:
    record = store.records[index]
    who = f"{record.source}/{record.name}"
    try:
        data = store.read_bytes(index).tobytes()
        if len(data) != record.nbytes or checksum(data) != record.checksum:
            yield f"{who}: its bytes are not those that were written; convert the source again"
            return
        sample = store.sample(index)
        validate(sample, spec)
    except DataError as error:
        yield str(error)
        return
    for label in record.labels:
        found = int(np.count_nonzero(np.unique(sample.objects[label.task].ids)))
        if found != label.n_objects:
            yield f"{who}, {label.task}: {label.n_objects} objects in the manifest, {found} in the pixels"


def _names(store: Store) -> Iterator[str]:
    count: dict[tuple[str, str], int] = defaultdict(int)
    for record in store.records:
        count[record.source, record.name] += 1
    for (source, name), n in count.items():
        if n > 1:
            yield f"{source}/{name}: the name occurs {n} times"


def _leaks(store: Store) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for record in store.records:
        splits[record.patient].add(record.split)
    for patient, found in splits.items():
        if len(found) > 1:
            yield f"patient {patient} is in several splits: {', '.join(sorted(found))}"
