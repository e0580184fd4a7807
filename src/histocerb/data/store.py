"""A store: samples at the working resolution, in files from which random crops are read fast.

Layout of the folder::

    manifest.parquet                one row per sample, by source and name (see `manifest`)
    pixels/<source>-<digest>.bin    samples one after another; never changed once it has its name

A sample is its image (H x W x 3 uint8) followed, per task, by its id map (H x W uint16, or int32 when an id
is above 65,535) and the classes of its ids (M x 2 int32: id, place in `vocabulary`), then per kind of mark by
its boxes (N x 4 float32) and classes (N int32). Blocks begin at multiples of 64 bytes; numbers are
little-endian. `checksum` is the BLAKE2b of the sample's bytes. The folder can be moved to another machine.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Marks, ObjectLabels, Provenance, Sample
from histocerb.core.tasks import WORKING_MPP
from histocerb.data.manifest import LabelRecord, Record, read_manifest

PIXELS = "pixels"
_NORESERVE = 0x4000
"""Linux's MAP_NORESERVE, which Python's `mmap` has from 3.13 on."""


class Store:
    """Reader of a store; pixels are mapped, not loaded. Pickles as its path and manifest.

    Attributes:
        path: folder.
        records: one per sample; samples are addressed by their place in it.
    """

    def __init__(self, path: Path, records: tuple[Record, ...] | None = None) -> None:
        """Open the store in the folder `path`; with `records`, as if its manifest had them.

        Raises:
            DataError: there is none.
        """
        self.path = Path(path)
        self.records = read_manifest(self.path)[0] if records is None else records
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

    def marks(self, index: int, kind: str) -> Marks:
        """Marks of that kind; KeyError when not annotated."""
        record = self.records[index]
        found = {mark.kind: mark for mark in record.marks}[kind]
        boxes = self._block(record, found.boxes_at, np.dtype("<f4"), (found.n_marks, 4))
        codes = self._block(record, found.classes_at, np.dtype("<i4"), (found.n_marks,))
        return Marks(boxes, tuple(found.vocabulary[code] for code in codes))

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
            marks={mark.kind: self.marks(index, mark.kind) for mark in record.marks},
            centre=record.centre,
            provenance=_provenance(record),
        )

    def samples(self, indices: Iterable[int] | None = None) -> Iterator[Sample]:
        """The samples at `indices` (default: all), in order."""
        for index in range(len(self)) if indices is None else indices:
            yield self.sample(index)

    def indices(
        self,
        *,
        splits: Collection[str] | None = None,
        source: str | None = None,
        task: str | None = None,
    ) -> list[int]:
        """Samples of these splits and that source with labels of that task (object task, or None for any)."""
        return [
            i
            for i, record in enumerate(self.records)
            if (splits is None or record.split in splits)
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
                self._files[name] = _mapped(path)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{path}: expected the pixels of a store, found {error}; convert the source again"
                ) from error
        return self._files[name]


def _mapped(path: Path) -> npt.NDArray[np.uint8]:
    """The bytes of a file, copy-on-write: no process can change it, and compiled code sees an ordinary array.

    On Linux memory is not set aside for copies, which are never made: else a file larger than memory and swap
    cannot be mapped.
    """
    if sys.platform != "linux":
        return np.asarray(np.memmap(path, np.uint8, mode="c"))
    with path.open("rb") as file:
        flags, rights = mmap.MAP_PRIVATE | _NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        return np.frombuffer(mmap.mmap(file.fileno(), 0, flags, rights), np.uint8)


def _provenance(record: Record) -> Provenance | None:
    if record.round == 0:
        return None
    return Provenance(record.round, record.annotator, record.date, record.model)
