"""A store: samples at the working resolution, in files from which random crops are read fast.

Layout of the folder::

    manifest.parquet                one row per sample, by source and name; the only file that is replaced
    pixels/<source>-<digest>.bin    samples one after another; never changed once it has its name

A sample is its image (H x W x 3 uint8) followed, per task, by its id map (H x W uint16, or int32 when an id
is above 65,535) and the classes of its ids (M x 2 int32: id, place in `vocabulary`). Blocks begin at
multiples of 64 bytes; numbers are little-endian. `checksum` is the BLAKE2b of the sample's bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.core.errors import DataError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import WORKING_MPP

MANIFEST = "manifest.parquet"
PIXELS = "pixels"


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
    """

    task: str
    dtype: str
    ids_at: int
    classes_at: int
    n_objects: int
    n_typed: int
    vocabulary: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """A row of the manifest: a sample without its pixels. `mpp_original` is that of the data set."""

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

    def label(self, task: str) -> LabelRecord | None:
        """Labels of that task, or None where they were not annotated."""
        return next((label for label in self.labels if label.task == task), None)


class Store:
    """Reader of a store; pixels are mapped, not loaded. Pickles as its path and manifest.

    Attributes:
        path: folder.
        records: one per sample; samples are addressed by their place in it.
    """

    def __init__(self, path: Path) -> None:
        """Open the store in the folder `path`.

        Raises:
            DataError: there is none.
        """
        self.path = Path(path)
        self.records = read_manifest(self.path)
        self._files: dict[str, npt.NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.records)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "records": self.records, "_files": {}}

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """H x W x 3 uint8 RGB: a view of the file, not to be written to."""
        record = self.records[index]
        shape = record.height, record.width, 3
        return self._block(record, 0, np.dtype(np.uint8), shape)

    def ids(self, index: int, task: str) -> npt.NDArray[np.integer[Any]]:
        """H x W uint16 or int32 ids of the objects: a view of the file; KeyError when not annotated."""
        record, label = self._label(index, task)
        return self._block(record, label.ids_at, np.dtype(label.dtype), (record.height, record.width))

    def classes(self, index: int, task: str) -> dict[int, str]:
        """Class or group name per id; ids of unknown class are missing. KeyError when not annotated."""
        record, label = self._label(index, task)
        table = self._block(record, label.classes_at, np.dtype("<i4"), (label.n_typed, 2))
        return {int(k): label.vocabulary[code] for k, code in table}

    def sample(self, index: int) -> Sample:
        """The whole sample, in memory of its own, at 0.5 um per pixel."""
        record = self.records[index]
        objects = {
            label.task: ObjectLabels(
                self.ids(index, label.task).astype(np.int32), self.classes(index, label.task)
            )
            for label in record.labels
        }
        return Sample(
            image=self.image(index).copy(),
            mpp=WORKING_MPP,
            objects=objects,
            patch_class=record.patch_class,
            source=record.source,
            patient=record.patient,
            name=record.name,
        )

    def samples(self, indices: Iterable[int] | None = None) -> Iterator[Sample]:
        """The samples at `indices` (default: all), in order."""
        for index in range(len(self)) if indices is None else indices:
            yield self.sample(index)

    def indices(
        self, *, split: str | None = None, source: str | None = None, task: str | None = None
    ) -> list[int]:
        """Samples of that split and source with labels of that task (object task, or None for any)."""
        return [
            i
            for i, record in enumerate(self.records)
            if (split is None or record.split == split)
            and (source is None or record.source == source)
            and (task is None or record.label(task) is not None)
        ]

    def read_bytes(self, index: int) -> npt.NDArray[np.uint8]:
        """All bytes of a sample, those of its checksum."""
        record = self.records[index]
        return self._file(record.file)[record.offset : record.offset + record.nbytes]

    def _label(self, index: int, task: str) -> tuple[Record, LabelRecord]:
        record = self.records[index]
        label = record.label(task)
        if label is None:
            raise KeyError(f"{record.source}/{record.name} has no labels for {task}")
        return record, label

    def _block(
        self, record: Record, at: int, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        first = record.offset + at
        last = first + int(np.prod(shape)) * dtype.itemsize
        return self._file(record.file)[first:last].view(dtype).reshape(shape)

    def _file(self, name: str) -> npt.NDArray[np.uint8]:
        if name not in self._files:
            path = self.path / PIXELS / name
            try:
                # Copy-on-write: no process can change the file, and compiled code sees an ordinary array.
                self._files[name] = np.asarray(np.memmap(path, np.uint8, mode="c"))
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{path}: expected the pixels of a store, found {error}; convert the source again"
                ) from error
        return self._files[name]


def read_manifest(path: Path) -> tuple[Record, ...]:
    """The records of the store in the folder `path`.

    Raises:
        DataError: there is no readable manifest.
    """
    file = path / MANIFEST
    try:
        rows = pq.read_table(file, partitioning=None).to_pylist()
        return tuple(_record(row) for row in rows)
    except (OSError, pa.ArrowException, TypeError) as error:
        raise DataError(
            f"{file}: expected the manifest of a store, found {error}; convert a source first"
        ) from error


def _record(row: dict[str, Any]) -> Record:
    labels = tuple(
        LabelRecord(**{**label, "vocabulary": tuple(label["vocabulary"])}) for label in row["labels"]
    )
    fields = {name: row[name] for name in Record.__dataclass_fields__ if name != "labels"}
    return Record(**fields, labels=labels)
