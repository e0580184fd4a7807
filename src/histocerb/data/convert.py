"""Writing a store: entries in, one file of pixels and a manifest out; all or nothing, and resumable."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from filelock import FileLock, Timeout

from histocerb.core.errors import DataError, OutputError, UsageError
from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.data.duplicates import near_duplicates
from histocerb.data.manifest import MANIFEST, Record, read_manifest, write_manifest
from histocerb.data.part import Part
from histocerb.data.pixels import encode
from histocerb.data.resample import resample
from histocerb.data.sources.entry import Entry
from histocerb.data.splits import SplitParams, assign, plan_from, plan_text
from histocerb.data.store import PIXELS, Store
from histocerb.data.validate import validate

_LOCK = ".lock"
_AHEAD = 2
"""Samples per worker that are read before those in front of them are written."""


@dataclass(frozen=True)
class Conversion:
    """What is converted, besides its entries.

    Attributes:
        name: of the data set. What an interrupted conversion of the same name wrote is not made again.
        root: folder of the data set; the manifest names original files relative to it.
        licence: terms of the data set.
        settings: options that change what is read, in words: with others nothing is taken over.
        workers: threads that read; the result does not depend on it.
    """

    name: str = "samples"
    root: Path = Path()
    licence: str = ""
    settings: str = ""
    workers: int = 1


def convert(
    entries: Iterable[Entry],
    out: Path,
    work: Conversion = Conversion(),
    *,
    split: SplitParams | None = None,
    spec: TaskSpec = CERBERUS,
) -> Store:
    """Add samples to the store in the folder `out`, which is made if need be, at 0.5 um per pixel.

    Earlier samples of the same sources are replaced. The same entries give the same bytes, and the manifest
    changes in one step at the end: a run that fails leaves the store as it was, and the same call goes on
    where it stopped.

    Args:
        entries: what to add.
        out: folder of the store.
        work: what they are.
        split: how the store is split from now on; None: as it was split before, and patients that it has
            keep the split that they have.
        spec: tasks and classes that samples may have.

    Raises:
        DataError: a sample is broken, contradicts itself or the spec, two have the same name, or there is
            none.
        UsageError: another process writes to the store.
        OutputError: `out` cannot be written.
    """
    with _writing(out):
        old, plan = read_manifest(out) if (out / MANIFEST).exists() else ((), "")
        part = Part(out / PIXELS, work.name, f"{work.licence} {work.settings} {spec.name}")
        new = _write_pixels(entries, part, work, spec)
        sources = sorted({record.source for record in new})
        kept = [record for record in old if record.source not in sources]
        params = plan_from(plan) if split is None else split
        settled = {record.patient: record.split for record in old} if split is None else {}
        written = [replace(record, file=part.name) for record in new]
        records = _split(out, [*kept, *written], params, settled)
        file = f"{'-'.join(sources)}-{_digest(new)}.bin"
        part.publish(out / PIXELS / file)
        named = [replace(r, file=file) if r.file == part.name else r for r in records]
        write_manifest(out, named, plan_text(params))
        part.forget()
        _remove_unused(out, {record.file for record in named})
    return Store(out)


def split_store(path: Path, params: SplitParams) -> Store:
    """Split the store in the folder `path` anew; later conversions keep to it.

    Raises:
        DataError: there is no store.
        UsageError: a name in `params.external` that no sample has, or another process writes to the store.
        OutputError: the store cannot be written.
    """
    read_manifest(path)  # before anything is made in a folder that is no store
    with _writing(path):
        records, _ = read_manifest(path)
        write_manifest(path, _split(path, records, params, {}), plan_text(params))
    return Store(path)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """The store, made if need be, for this process alone."""
    try:
        (out / PIXELS).mkdir(parents=True, exist_ok=True)
        with FileLock(out / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise UsageError(f"{out}: another process writes to this store; wait until it is done") from error
    except OSError as error:
        raise OutputError(
            f"{out}: expected a folder to write a store to, found {error}; choose another"
        ) from error


def _split(
    out: Path, records: Sequence[Record], params: SplitParams, settled: Mapping[str, str]
) -> list[Record]:
    """The records with their split set, near duplicates on one side."""
    store = Store(out, tuple(records))
    together = near_duplicates([record.look for record in records], store.image)
    return assign(records, params, together, settled)


def _write_pixels(entries: Iterable[Entry], part: Part, work: Conversion, spec: TaskSpec) -> list[Record]:
    """Write all samples to the part; their records, without the name of their file."""
    remaining = iter(entries)
    with part:
        for entry in remaining:
            if not part.take_over(entry):
                remaining = chain([entry], remaining)
                break
        seen = {record.who for record in part.records}
        for entry, (record, data) in _encoded(remaining, work, spec):
            if record.who in seen:
                raise DataError(f"{record.who}: expected names to differ, found it twice; rename one")
            seen.add(record.who)
            part.append(entry, record, data)
        if not part.records:
            raise DataError("expected samples to convert, found no sample; check the folder they come from")
        return part.records


Encoded = tuple[Record, bytes]


def _encoded(entries: Iterable[Entry], work: Conversion, spec: TaskSpec) -> Iterator[tuple[Entry, Encoded]]:
    """Entries with their bytes, in order, read by several threads."""
    waiting: deque[tuple[Entry, Future[Encoded]]] = deque()
    with ThreadPoolExecutor(work.workers) as pool:
        try:
            for entry in entries:
                waiting.append((entry, pool.submit(_encode, entry, work, spec)))
                if len(waiting) > _AHEAD * work.workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _encode(entry: Entry, work: Conversion, spec: TaskSpec) -> Encoded:
    sample = entry.load()
    validate(sample, spec)
    record, data = encode(resample(sample), sample.mpp)
    original = _relative(entry.files[0], work.root) if entry.files else ""
    return replace(record, licence=work.licence, original=original), data


def _relative(path: Path, root: Path) -> str:
    inside = path.is_relative_to(root)
    return (path.relative_to(root) if inside else Path(path.name)).as_posix()


def _digest(records: Iterable[Record]) -> str:
    digest = blake2b(digest_size=16)
    for record in records:
        digest.update(record.checksum.encode())
    return digest.hexdigest()


def _remove_unused(out: Path, used: Collection[str]) -> None:
    """Delete pixel files that no record names any more."""
    for path in (out / PIXELS).glob("*.bin"):
        if path.name not in used:
            os.unlink(path)
