"""A sample as the bytes of a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.samples import Marks, ObjectLabels, Provenance, Sample
from histocerb.data.duplicates import look
from histocerb.data.manifest import LabelRecord, MarkRecord, Record

_ALIGN = 64
_SMALL_ID = 65_535


def encode(sample: Sample, mpp_original: float) -> tuple[Record, bytes]:
    """The bytes of a sample of working resolution, and its record without split, file and place."""
    blocks = _Blocks(sample.image)
    labels = tuple(_labels(blocks, task, found) for task, found in sorted(sample.objects.items()))
    marks = tuple(_marks(blocks, kind, found) for kind, found in sorted(sample.marks.items()))
    data = blocks.bytes()
    provenance = sample.provenance or Provenance(0, "", "")
    record = Record(
        name=sample.name,
        source=sample.source,
        patient=sample.patient,
        split="",
        patch_class=sample.patch_class,
        mpp_original=mpp_original,
        width=sample.image.shape[1],
        height=sample.image.shape[0],
        file="",
        offset=0,
        nbytes=len(data),
        checksum=checksum(data),
        labels=labels,
        marks=marks,
        centre=sample.centre,
        look=look(sample.image),
    )
    return replace(
        record,
        round=provenance.round,
        annotator=provenance.annotator,
        date=provenance.date,
        model=provenance.model,
    ), data


def checksum(data: bytes) -> str:
    """BLAKE2b of a sample's bytes, 32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()


class _Blocks:
    """Arrays one after another, each at a multiple of 64 bytes."""

    def __init__(self, first: npt.NDArray[Any]) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.add(first)

    def add(self, block: npt.NDArray[Any]) -> int:
        """Append a block; its offset."""
        at = self._size
        data = block.tobytes()
        padded = data + bytes(-len(data) % _ALIGN)
        self._parts.append(padded)
        self._size += len(padded)
        return at

    def bytes(self) -> bytes:
        """All of them."""
        return b"".join(self._parts)


def _labels(blocks: _Blocks, task: str, found: ObjectLabels) -> LabelRecord:
    ids = found.ids.astype("<u2" if found.ids.max(initial=0) <= _SMALL_ID else "<i4")
    vocabulary, per_class = _counted(found.classes.values())
    code = {name: i for i, name in enumerate(vocabulary)}
    table = np.array([(k, code[name]) for k, name in sorted(found.classes.items())], "<i4").reshape(-1, 2)
    return LabelRecord(
        task=task,
        dtype=ids.dtype.str,
        ids_at=blocks.add(ids),
        classes_at=blocks.add(table),
        n_objects=int(np.count_nonzero(np.unique(ids))),
        n_typed=len(table),
        vocabulary=vocabulary,
        per_class=per_class,
    )


def _marks(blocks: _Blocks, kind: str, found: Marks) -> MarkRecord:
    vocabulary, per_class = _counted(found.classes)
    codes = np.array([vocabulary.index(name) for name in found.classes], "<i4")
    return MarkRecord(
        kind=kind,
        boxes_at=blocks.add(found.boxes.astype("<f4")),
        classes_at=blocks.add(codes),
        n_marks=len(codes),
        vocabulary=vocabulary,
        per_class=per_class,
    )


def _counted(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    counts: Sequence[tuple[str, int]] = sorted(Counter(names).items())
    return tuple(name for name, _ in counts), tuple(count for _, count in counts)
