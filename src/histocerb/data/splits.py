"""Which samples train and which validate: by patient, the same on every machine."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from histocerb.core.errors import UsageError
from histocerb.data.store import Record

TRAIN = "train"
VALID = "valid"


@dataclass(frozen=True)
class SplitParams:
    """`valid_fraction` of the samples of every source validate, whole patients only; `seed` chooses which."""

    valid_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.valid_fraction < 1:
            raise UsageError(
                f"expected a valid_fraction from 0 to below 1, found {self.valid_fraction}; change it"
            )


def assign(records: Sequence[Record], params: SplitParams) -> list[Record]:
    """The records with their split set; no patient is in two splits.

    Patients are grouped by the sources they occur in; of each group, patients validate in the order of their
    hash, as many as fit into the fraction of the group's samples, at least one where there are two patients.
    Adding a source leaves the splits of the others as they were, unless they share patients.
    """
    sources: dict[str, set[str]] = defaultdict(set)
    for record in records:
        sources[record.patient].add(record.source)
    groups: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for record in records:
        groups[tuple(sorted(sources[record.patient]))][record.patient] += 1
    valid = {patient for sizes in groups.values() for patient in _choose(sizes, params)}
    return [replace(record, split=VALID if record.patient in valid else TRAIN) for record in records]


def _choose(sizes: Counter[str], params: SplitParams) -> list[str]:
    """Validation patients of one group, given the number of samples of each."""
    if len(sizes) < 2 or params.valid_fraction == 0:
        return []
    order = sorted(sizes, key=lambda patient: _hash(patient, params.seed))
    room = params.valid_fraction * sizes.total()
    chosen = []
    for patient in order:
        if sizes[patient] <= room:
            chosen.append(patient)
            room -= sizes[patient]
    return chosen or [min(order, key=lambda patient: sizes[patient])]


def _hash(patient: str, seed: int) -> bytes:
    return blake2b(f"{seed}:{patient}".encode(), digest_size=8).digest()
