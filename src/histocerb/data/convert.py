"""Writing a store: samples in, one file of pixels and a manifest out, all or nothing."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.core.errors import DataError, OutputError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.data.resample import resample
from histocerb.data.splits import SplitParams, assign
from histocerb.data.store import MANIFEST, PIXELS, LabelRecord, Record, Store, read_manifest

_ALIGN = 64
_SMALL_ID = 65_535
_HIGHEST_ID = 2**24 - 1

_LABEL_TYPE = pa.struct(
    [
        ("task", pa.string()),
        ("dtype", pa.string()),
        ("ids_at", pa.int64()),
        ("classes_at", pa.int64()),
        ("n_objects", pa.int64()),
        ("n_typed", pa.int64()),
        ("vocabulary", pa.list_(pa.string())),
    ]
)
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("source", pa.string()),
        ("patient", pa.string()),
        ("split", pa.string()),
        ("tasks", pa.list_(pa.string())),
        ("patch_class", pa.string()),
        ("mpp_original", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("nbytes", pa.int64()),
        ("checksum", pa.string()),
        ("labels", pa.list_(_LABEL_TYPE)),
    ]
)


def convert(
    samples: Iterable[Sample],
    out: Path,
    *,
    split: SplitParams = SplitParams(),  # noqa: B008 - frozen
    spec: TaskSpec = CERBERUS,
) -> Store:
    """Add the samples to the store in the folder `out`, which is made if need be, at 0.5 um per pixel.

    Earlier samples of the same sources are replaced. The same samples give the same bytes, and the manifest
    changes in one step at the end: a run that fails leaves the store as it was. Patients are assigned to
    splits by `split`, over everything that is in the store then.

    Raises:
        DataError: a sample contradicts itself or the spec, two have the same name, or there is none.
        OutputError: `out` cannot be written.
    """
    folder = out / PIXELS
    part = folder / f".part-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = read_manifest(out) if (out / MANIFEST).exists() else ()
        try:
            new, file = _write_pixels(samples, part, spec)
            sources = {record.source for record in new}
            kept = [record for record in old if record.source not in sources]
            part.replace(folder / file)
            write_manifest(out, assign([*kept, *(replace(record, file=file) for record in new)], split))
        finally:
            part.unlink(missing_ok=True)
        _remove_unused(out)
    except OSError as error:
        raise OutputError(
            f"{out}: expected a folder to write a store to, found {error}; choose another"
        ) from error
    return Store(out)


def write_manifest(out: Path, records: Iterable[Record]) -> None:
    """Replace the manifest of the store in `out` in one step."""
    rows = [
        {**asdict(record), "tasks": [label.task for label in record.labels]}
        for record in sorted(records, key=lambda r: (r.source, r.name))
    ]
    temporary = out / f".{MANIFEST}-{uuid.uuid4().hex}"
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(out / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)


def validate(sample: Sample, spec: TaskSpec = CERBERUS) -> None:
    """Refuse a sample that contradicts itself or the spec.

    Raises:
        DataError: sizes that differ, an unknown task or class, an id below 0 or above 2^24 - 1, a class of an
            id that has no pixels, no label at all.
    """
    who = f"{sample.source}/{sample.name}"
    shape = sample.image.shape
    if sample.image.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise DataError(
            f"{who}: expected an image of H x W x 3 uint8, found {shape} {sample.image.dtype}; convert it"
        )
    if not (sample.source and sample.name and sample.patient):
        raise DataError(f"{who}: expected source, name and patient, found an empty one; set it in the source")
    if not sample.objects and sample.patch_class is None:
        raise DataError(f"{who}: expected a label of some task, found none; leave the sample out")
    patch_classes = spec.patch.classes if spec.patch else ()
    if sample.patch_class is not None and sample.patch_class not in patch_classes:
        raise DataError(
            f"{who}: expected one of {patch_classes}, found {sample.patch_class!r}; "
            "map it in data/class_names.py"
        )
    known = {task.name: {*task.classes, *task.groups} for task in spec.objects}
    for task, labels in sample.objects.items():
        if task not in known:
            raise DataError(f"{who}: expected one of the tasks {sorted(known)}, found {task!r}; rename it")
        _validate_labels(f"{who}, {task}", labels, shape[:2], known[task])


def _validate_labels(who: str, labels: ObjectLabels, shape: tuple[int, ...], known: set[str]) -> None:
    ids = labels.ids
    if ids.shape != shape or not np.issubdtype(ids.dtype, np.integer):
        raise DataError(
            f"{who}: expected integer ids of {shape} pixels, found {ids.dtype} {ids.shape}; convert them"
        )
    if ids.min() < 0 or ids.max() > _HIGHEST_ID:
        raise DataError(
            f"{who}: expected ids from 0 to {_HIGHEST_ID}, found {ids.min()} to {ids.max()}; renumber them"
        )
    unknown = sorted(set(labels.classes.values()) - known)
    if unknown:
        raise DataError(
            f"{who}: expected classes {sorted(known)}, found {unknown}; map them in data/class_names.py"
        )
    absent = sorted(set(labels.classes) - set(np.unique(ids).tolist()) | ({0} & set(labels.classes)))
    if absent:
        raise DataError(
            f"{who}: expected pixels for every id that has a class, found none for {absent[:5]}; drop them"
        )


def _write_pixels(samples: Iterable[Sample], part: Path, spec: TaskSpec) -> tuple[list[Record], str]:
    """Write all samples to `part`; their records (without a file name) and the name for the file."""
    records: dict[tuple[str, str], Record] = {}
    digest = blake2b(digest_size=16)
    with part.open("wb") as file:
        for sample in samples:
            key = sample.source, sample.name
            if key in records:
                raise DataError(f"{key[0]}/{key[1]}: expected names to differ, found it twice; rename one")
            validate(sample, spec)
            record = _write_sample(replace(resample(sample), mpp=sample.mpp), file)
            digest.update(record.checksum.encode())
            records[key] = record
        file.flush()
        os.fsync(file.fileno())
    if not records:
        raise DataError("expected samples to convert, found no sample; check the folder they come from")
    sources = sorted({source for source, _ in records})
    return list(records.values()), f"{'-'.join(sources)}-{digest.hexdigest()}.bin"


def _write_sample(sample: Sample, file: BinaryIO) -> Record:
    """Append a sample of working resolution whose `mpp` is still that of the data set."""
    blocks: list[npt.NDArray[np.generic]] = [sample.image]
    at = _padded(sample.image.nbytes)
    labels = []
    for task, found in sorted(sample.objects.items()):
        ids = found.ids.astype("<u2" if found.ids.max(initial=0) <= _SMALL_ID else "<i4")
        vocabulary = tuple(sorted(set(found.classes.values())))
        table = _class_table(found.classes, vocabulary)
        n_objects = int(np.count_nonzero(np.unique(ids)))
        classes_at = at + _padded(ids.nbytes)
        labels.append(LabelRecord(task, ids.dtype.str, at, classes_at, n_objects, len(table), vocabulary))
        blocks += [ids, table]
        at = classes_at + _padded(table.nbytes)
    data = b"".join(_padded_bytes(block) for block in blocks)
    offset = file.tell()
    file.write(data)
    return Record(
        name=sample.name,
        source=sample.source,
        patient=sample.patient,
        split="",
        patch_class=sample.patch_class,
        mpp_original=sample.mpp,
        width=sample.image.shape[1],
        height=sample.image.shape[0],
        file="",
        offset=offset,
        nbytes=len(data),
        checksum=checksum(data),
        labels=tuple(labels),
    )


def checksum(data: bytes) -> str:
    """BLAKE2b of a sample's bytes, 32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()


def _class_table(classes: dict[int, str], vocabulary: Sequence[str]) -> npt.NDArray[np.int32]:
    code = {name: i for i, name in enumerate(vocabulary)}
    return np.array([(k, code[name]) for k, name in sorted(classes.items())], "<i4").reshape(-1, 2)


def _padded(nbytes: int) -> int:
    return -(-nbytes // _ALIGN) * _ALIGN


def _padded_bytes(block: npt.NDArray[np.generic]) -> bytes:
    return block.tobytes() + bytes(_padded(block.nbytes) - block.nbytes)


def _remove_unused(out: Path) -> None:
    """Delete pixel files that no record names any more."""
    used = {record.file for record in read_manifest(out)}
    for path in (out / PIXELS).glob("*.bin"):
        if path.name not in used:
            path.unlink()
