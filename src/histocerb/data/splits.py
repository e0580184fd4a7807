"""Which samples train and which validate or test: by patient, the same on every machine."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import UsageError
from histocerb.data.manifest import Record

TRAIN = "train"
VALID = "valid"
EXTERNAL = "external"

Pairs = Sequence[tuple[int, int]]
"""Places of records that must stay together besides those of one patient."""


@dataclass(frozen=True)
class SplitParams:
    """How a store is split.

    Attributes:
        folds: number of folds, `fold-1` and so on; 0 for one part to train and one to validate.
        valid_fraction: share of the samples of every source that validates, where there are no folds.
        external: test samples that no fold gets: names of sources or centres, or what a patient's name
            begins with, in whole words (`TCGA`; `glas-1` is not `glas-12`).
        seed: another seed, another choice.
    """

    folds: int = 0
    valid_fraction: float = 0.2
    external: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.valid_fraction < 1:
            raise UsageError(
                f"expected a valid_fraction from 0 to below 1, found {self.valid_fraction}; change it"
            )
        if not all(self.external):
            raise UsageError("expected names of external test data, found an empty one; leave it out")
        if self.folds < 0 or self.folds == 1:
            raise UsageError(f"expected two folds or more (or 0 for none), found {self.folds}; change it")


def plan_text(params: SplitParams) -> str:
    """The parameters as a manifest keeps them."""
    return json.dumps(asdict(params), sort_keys=True)


def plan_from(text: str) -> SplitParams:
    """The parameters that a manifest keeps; the default ones for ""."""
    fields = json.loads(text) if text else {}
    return SplitParams(**{**fields, "external": tuple(fields.get("external", ()))})


def assign(
    records: Sequence[Record],
    params: SplitParams,
    together: Pairs = (),
    settled: Mapping[str, str] = MappingProxyType({}),
) -> list[Record]:
    """The records with their split set; no patient, and no two records of `together`, are in two splits.

    Without folds, groups of patients that belong together are taken in the order of their hash, as many as
    fit into the fraction of the samples of their sources, at least one where there are two. Adding a source
    leaves the splits of the others as they were, unless they share patients. With folds, groups go to the
    fold that lacks most of what they hold, the largest first, so that sources and classes are spread alike.

    Args:
        records: samples; what split they have does not matter.
        params: how they are split.
        together: pairs of places in `records`.
        settled: splits of patients that have been chosen before and stay. A group of patients of several
            trains, or goes to the first of their folds.

    Raises:
        UsageError: a name in `external` that no record has.
    """
    group_of = _groups(records, together)
    outside = _external(records, group_of, params.external)
    split_of = _kept(records, group_of, settled) | dict.fromkeys(outside, EXTERNAL)
    inside = [i for i, group in enumerate(group_of) if split_of.get(group) != EXTERNAL]
    if params.folds:
        split_of |= _folds(records, inside, group_of, params, split_of)
    else:
        split_of |= _holdout(records, inside, group_of, params, split_of)
    return [replace(record, split=split_of[group]) for record, group in zip(records, group_of, strict=True)]


def training_splits(records: Sequence[Record], held_out: str) -> list[str]:
    """All splits but the one that is held out and the external test.

    Raises:
        UsageError: no sample is held out though the store has splits of other names, such as folds.
    """
    found = sorted({record.split for record in records})
    if held_out not in found and set(found) - {TRAIN, EXTERNAL}:
        raise UsageError(
            f"expected one of the splits {', '.join(found)} to hold out, found {held_out!r}; "
            "set validation.split"
        )
    return [name for name in found if name not in (held_out, EXTERNAL)]


def lacking(records: Sequence[Record], folds_wanted: int) -> list[str]:
    """Sources that have nothing in some of so many folds, in words."""
    folds = [_fold(number) for number in range(folds_wanted)]
    present = {(record.source, record.split) for record in records}
    sources = sorted({source for source, split in present if split != EXTERNAL})
    return [
        f"{source} has too few patients for so many folds: nothing in {', '.join(missing)}"
        for source in sources
        if (missing := [fold for fold in folds if (source, fold) not in present])
    ]


def leaks(records: Sequence[Record], together: Pairs = ()) -> list[str]:
    """What is in two splits though it must not be, in words."""
    splits: dict[str, set[str]] = defaultdict(set)
    for record in records:
        splits[record.patient].add(record.split)
    patients = [
        f"patient {patient} is in several splits: {', '.join(sorted(found))}"
        for patient, found in splits.items()
        if len(found) > 1
    ]
    images = [
        f"{records[i].who} ({records[i].split}) and {records[j].who} ({records[j].split}) show the same image"
        for i, j in together
        if records[i].split != records[j].split
    ]
    return patients + images


def _groups(records: Sequence[Record], together: Pairs) -> list[str]:
    """Per record, the name of its group: the first of its patients' names."""
    parent = {record.patient: record.patient for record in records}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for i, j in together:
        first, second = sorted((root(records[i].patient), root(records[j].patient)))
        parent[second] = first
    return [root(record.patient) for record in records]


def _kept(records: Sequence[Record], group_of: Sequence[str], settled: Mapping[str, str]) -> dict[str, str]:
    """Splits of the groups with patients that have one."""
    found: dict[str, set[str]] = defaultdict(set)
    for record, group in zip(records, group_of, strict=True):
        if record.patient in settled:
            found[group].add(settled[record.patient])
    return {group: TRAIN if TRAIN in splits else min(splits) for group, splits in found.items()}


def _external(records: Sequence[Record], group_of: Sequence[str], names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        begins = re.compile(rf"{re.escape(name)}(?![A-Za-z0-9])")
        groups = {
            group
            for record, group in zip(records, group_of, strict=True)
            if name in (record.source, record.centre) or begins.match(record.patient)
        }
        if not groups:
            known = sorted({r.source for r in records} | {r.centre for r in records if r.centre})
            raise UsageError(
                f"expected a source, a centre or the beginning of a patient's name as external test, "
                f"found {name!r}; there are {', '.join(known)}"
            )
        found |= groups
    return found


def _holdout(
    records: Sequence[Record],
    inside: Sequence[int],
    group_of: Sequence[str],
    params: SplitParams,
    kept: Mapping[str, str],
) -> dict[str, str]:
    sources: dict[str, set[str]] = defaultdict(set)
    for i in inside:
        sources[group_of[i]].add(records[i].source)
    pools: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for i in inside:
        pools[tuple(sorted(sources[group_of[i]]))][group_of[i]] += 1
    valid = {group for sizes in pools.values() for group in _choose(sizes, params, kept)}
    new = {group_of[i] for i in inside} - set(kept)
    return {group: VALID if group in valid else TRAIN for group in new}


def _choose(sizes: Counter[str], params: SplitParams, kept: Mapping[str, str]) -> list[str]:
    """New validation groups of one pool, given the number of samples of each."""
    order = sorted(sizes.keys() - kept.keys(), key=lambda group: _hash(group, params.seed))
    if len(sizes) < 2 or params.valid_fraction == 0 or not order:
        return []
    there = [group for group in sizes if kept.get(group) == VALID]
    room = params.valid_fraction * sizes.total() - sum(sizes[group] for group in there)
    chosen = []
    for group in order:
        if sizes[group] <= room:
            chosen.append(group)
            room -= sizes[group]
    return chosen if chosen or there else [min(order, key=lambda group: sizes[group])]


def _folds(
    records: Sequence[Record],
    inside: Sequence[int],
    group_of: Sequence[str],
    params: SplitParams,
    kept: Mapping[str, str],
) -> dict[str, str]:
    contents = _contents(records, inside, group_of)
    total = np.sum(list(contents.values()), axis=0) if contents else np.zeros(0)
    names = [_fold(number) for number in range(params.folds)]
    of_fold = [[contents[group] for group in contents if kept.get(group) == name] for name in names]
    load = np.array([np.sum(held, axis=0) / total if held else np.zeros(len(total)) for held in of_fold])
    fold_of = {}
    new = contents.keys() - kept.keys()
    order = sorted(new, key=lambda g: (-float((contents[g] / total).sum()), _hash(g, params.seed)))
    for group in order:
        share = contents[group] / total
        # Sum of squares of the shares: least when every fold has as much of everything.
        cost = ((load + share) ** 2 - load**2).sum(1)
        fold = int(cost.argmin())
        load[fold] += share
        fold_of[group] = names[fold]
    return fold_of


def _fold(number: int) -> str:
    return f"fold-{number + 1}"


def _contents(
    records: Sequence[Record], inside: Sequence[int], group_of: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """Per group how much it has of every source, patch class and class of objects and marks."""
    found: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for i in inside:
        record, counts = records[i], found[group_of[i]]
        counts["source", record.source] += 1
        if record.patch_class is not None:
            counts["patch", record.source, record.patch_class] += 1
        for label in record.labels:
            counts["objects", record.source, label.task] += label.n_objects
            for name, number in zip(label.vocabulary, label.per_class, strict=True):
                counts["class", label.task, name] += number
        for mark in record.marks:
            for name, number in zip(mark.vocabulary, mark.per_class, strict=True):
                counts["mark", mark.kind, name] += number
    strata = sorted({key for counts in found.values() for key, number in counts.items() if number})
    return {group: np.array([counts[key] for key in strata], np.float64) for group, counts in found.items()}


def _hash(group: str, seed: int) -> bytes:
    return blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
