"""The manifest of a store: one row per sample, and how samples are split.

`manifest.parquet` is the only file of a store that is replaced, always in one step. Its schema metadata holds
the version of the layout and the split plan (`splits`), so that a source that is added later is split alike.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.core.errors import DataError

MANIFEST = "manifest.parquet"
VERSION = "2"
_VERSION_KEY, _PLAN_KEY = b"histocerb-store", b"split-plan"


@dataclass(frozen=True)
class LabelRecord:
    """Where the objects of one task lie in a sample's bytes.

    Attributes:
        task: task name.
        dtype: of the id map, "<u2" or "<i4".
        ids_at: offset of the id map from the sample's first byte.
        classes_at: offset of the M x 2 class table.
        n_objects: ids in the map.
        n_typed: M, ids with a class.
        vocabulary: class and group names that occur.
        per_class: objects of each name of `vocabulary`.
    """

    task: str
    dtype: str
    ids_at: int
    classes_at: int
    n_objects: int
    n_typed: int
    vocabulary: tuple[str, ...]
    per_class: tuple[int, ...]


@dataclass(frozen=True)
class MarkRecord:
    """Where the marks of one kind lie in a sample's bytes.

    Attributes:
        kind: kind of mark.
        boxes_at: offset of the N x 4 boxes (float32).
        classes_at: offset of the N places in `vocabulary` (int32).
        n_marks: N.
        vocabulary: class names that occur, "" among them where a class is unknown.
        per_class: marks of each name of `vocabulary`.
    """

    kind: str
    boxes_at: int
    classes_at: int
    n_marks: int
    vocabulary: tuple[str, ...]
    per_class: tuple[int, ...]


@dataclass(frozen=True)
class Record:
    """A row of the manifest: a sample without its pixels.

    Attributes:
        name, source, patient, centre, patch_class: as in `core.samples.Sample`.
        split: `train`, `valid`, `fold-1`, ..., `external`.
        mpp_original: resolution of the data set, micrometres per pixel; the store's is 0.5.
        width, height: in the store, pixels.
        licence: terms of the data set.
        original: file that the image is from, relative to the data set's folder, with forward slashes.
        file, offset, nbytes: where its bytes are.
        checksum: of these bytes.
        look: perceptual hash (`duplicates`), None for an image without structure.
        round, annotator, date, model: `core.samples.Provenance`; round 0: the labels are no corrections.
        labels, marks: what is annotated.
    """

    name: str
    source: str
    patient: str
    split: str
    patch_class: str | None
    mpp_original: float
    width: int
    height: int
    file: str
    offset: int
    nbytes: int
    checksum: str
    labels: tuple[LabelRecord, ...]
    marks: tuple[MarkRecord, ...] = ()
    centre: str = ""
    licence: str = ""
    original: str = ""
    look: int | None = None
    round: int = 0
    annotator: str = ""
    date: str = ""
    model: str = ""

    def label(self, task: str) -> LabelRecord | None:
        """Labels of that task, or None where they were not annotated."""
        return next((label for label in self.labels if label.task == task), None)

    @property
    def who(self) -> str:
        """Source and name, unique in a store."""
        return f"{self.source}/{self.name}"


_LABEL_TYPE = pa.struct(
    [
        ("task", pa.string()),
        ("dtype", pa.string()),
        ("ids_at", pa.int64()),
        ("classes_at", pa.int64()),
        ("n_objects", pa.int64()),
        ("n_typed", pa.int64()),
        ("vocabulary", pa.list_(pa.string())),
        ("per_class", pa.list_(pa.int64())),
    ]
)
_MARK_TYPE = pa.struct(
    [
        ("kind", pa.string()),
        ("boxes_at", pa.int64()),
        ("classes_at", pa.int64()),
        ("n_marks", pa.int64()),
        ("vocabulary", pa.list_(pa.string())),
        ("per_class", pa.list_(pa.int64())),
    ]
)
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("source", pa.string()),
        ("patient", pa.string()),
        ("centre", pa.string()),
        ("split", pa.string()),
        ("tasks", pa.list_(pa.string())),
        ("patch_class", pa.string()),
        ("mpp_original", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("licence", pa.string()),
        ("original", pa.string()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("nbytes", pa.int64()),
        ("checksum", pa.string()),
        ("look", pa.int64()),
        ("round", pa.int32()),
        ("annotator", pa.string()),
        ("date", pa.string()),
        ("model", pa.string()),
        ("labels", pa.list_(_LABEL_TYPE)),
        ("marks", pa.list_(_MARK_TYPE)),
    ]
)


def read_manifest(path: Path) -> tuple[tuple[Record, ...], str]:
    """The records of the store in the folder `path`, and its split plan as it was written ("" for none).

    Raises:
        DataError: there is no readable manifest, or it is of another version.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise DataError(f"{path}: expected a store, found no {MANIFEST}; convert a source first")
    try:
        content = pq.read_table(file, partitioning=None)
        metadata = content.schema.metadata or {}
        version = metadata.get(_VERSION_KEY, b"1").decode()
        if version != VERSION:
            raise DataError(
                f"{file}: expected a store of version {VERSION}, found {version}; convert its sources again"
            )
        records = tuple(record_from(row) for row in content.to_pylist())
        return records, metadata.get(_PLAN_KEY, b"").decode()
    except (OSError, pa.ArrowException, TypeError, KeyError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: expected the manifest of a store, found {error}; convert its sources again"
        ) from error


def write_manifest(path: Path, records: Iterable[Record], plan: str) -> None:
    """Replace the manifest of the store in the folder `path` in one step.

    Raises:
        OSError: it cannot be written.
    """
    ordered = sorted(records, key=lambda r: (r.source, r.name))
    rows = [{**asdict(r), "tasks": [label.task for label in r.labels]} for r in ordered]
    schema = _SCHEMA.with_metadata({_VERSION_KEY: VERSION.encode(), _PLAN_KEY: plan.encode()})
    temporary = path / f".{MANIFEST}-{uuid.uuid4().hex}"
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)


def record_from(row: Mapping[str, Any]) -> Record:
    """A record from its fields as JSON or a table has them; KeyError or TypeError where they are not."""
    fields = {name: row[name] for name in Record.__dataclass_fields__}
    labels = tuple(LabelRecord(**_with_tuples(label)) for label in row["labels"])
    marks = tuple(MarkRecord(**_with_tuples(mark)) for mark in row["marks"])
    counted = [(len(found.vocabulary), len(found.per_class)) for found in labels]
    counted += [(len(found.vocabulary), len(found.per_class)) for found in marks]
    if any(names != numbers for names, numbers in counted):
        raise TypeError("numbers of classes and of their objects that differ")
    return Record(**{**fields, "labels": labels, "marks": marks})


def _with_tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
