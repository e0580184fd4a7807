"""What became of some objects of a slide, as a file to take away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from histocerb.analysis.changes import NO_PARTNER
from histocerb.core.colours import UNKNOWN_COLOUR, Rgb
from histocerb.web.changes import CHANGE_COLOURS, WORDS, Change, Changes
from histocerb.web.index import NO_WORD, ObjectIndex, Rows
from histocerb.web.queries import Point, rows_in
from histocerb.web.selection import (
    Format,
    as_csv,
    as_geojson,
    columns_of,
    of_result,
    switched_off,
    switched_on,
)

_BEFORE_CLASS = ": "
"""Between change and class: QuPath takes what is so named for a class and one derived from it."""

_ADDED: dict[str, pa.DataType] = {
    "change": pa.string(),
    "result": pa.string(),
    "other_id": pa.int64(),
    "other_class": pa.string(),
}
"""Columns that say what became of objects."""


@dataclass(frozen=True)
class Wanted:
    """Which objects.

    Attributes:
        corners: of a polygon; None: all.
        least: least probability of the class.
        off: kinds and classes that are switched off.
        shown: whether those are classes or changes.
    """

    corners: list[Point] | None
    least: float
    off: str | None
    shown: Literal["classes", "changes"]


def taken_away(changes: Changes, titles: tuple[str, str], wanted: Wanted, form: Format) -> Iterator[bytes]:
    """Objects of the first result, then those that only the second has; objects in both stand there once.

    CSV has the columns of both tables after `change`, `result`, `other_id` and `other_class`. In GeoJSON the
    class is `CHANGE: CLASS` in the colour of the change, and ids of new objects are made of their negative
    numbers, since the two results count apart.

    Args:
        changes: what became of them.
        titles: what both results are called.
        wanted: which objects.
        form: of the file.

    Raises:
        UsageError: What is switched off is a kind or class of neither result.
    """
    rows = _rows(changes, wanted)
    batches = (batch for side in (0, 1) for batch in _side(changes, side, rows[side], titles[side], form))
    if form is Format.GEOJSON:
        return as_geojson(batches, changes.opened, _shade)
    columns = pa.unify_schemas([pa.schema(_ADDED), *(columns_of(opened) for opened in changes.opened)])
    return as_csv(batches, columns)


def _rows(changes: Changes, wanted: Wanted) -> list[Rows]:
    """Of each result; of the second only what is new."""
    indices = changes.indices
    shown = indices if wanted.shown == "changes" else [opened.index for opened in changes.opened]
    off = switched_off(wanted.off, *shown)
    inside = [own.confident(rows_in(own, wanted.corners), wanted.least) for own in indices]
    first, second = (switched_on(one, rows, off) for one, rows in zip(shown, inside, strict=True))
    return [first, second[indices[1].columns["class_code"][second] == WORDS.index(Change.NEW)]]


def _side(changes: Changes, side: int, rows: Rows, title: str, form: Format) -> Iterator[pa.RecordBatch]:
    own = changes.indices[side]
    for numbers, batch in of_result(changes.opened[side], rows):
        words = [WORDS[code] for code in own.columns["class_code"][numbers].tolist()]
        if form is Format.CSV:
            partners = changes.partners[side][numbers]
            yield _with_partners(batch, words, title, changes.opened[1 - side].index, partners)
        else:
            yield _as_classes(batch, words, -1 if side else 1)


def _with_partners(
    batch: pa.RecordBatch, words: list[str], title: str, other: ObjectIndex, partners: Rows
) -> pa.RecordBatch:
    """Columns that say what became of objects, before those of the table."""
    has = partners != NO_PARTNER
    at = np.where(has, partners, 0)
    ids = pa.array(other.columns["object_id"][at] if len(other) else at, mask=~has)
    codes = np.where(has, other.columns["class_code"][at], NO_WORD) if len(other) else [NO_WORD] * len(at)
    classes = pa.array([None if code == NO_WORD else other.classes[code] for code in codes], pa.string())
    added: dict[str, pa.Array[Any]] = {
        "change": pa.array(words),
        "result": pa.array([title] * len(words), pa.string()),
        "other_id": ids,
        "other_class": classes,
    }
    columns = added | {name: batch.column(name) for name in batch.schema.names}
    return pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])


def _as_classes(batch: pa.RecordBatch, words: list[str], sign: int) -> pa.RecordBatch:
    """Rows whose class is what became of them and their class, with ids of the sign."""
    kinds, classes = (batch.column(name).cast(pa.string()).to_pylist() for name in ("kind", "class"))
    named = [
        f"{word}{_BEFORE_CLASS}{name or kind}" for word, kind, name in zip(words, kinds, classes, strict=True)
    ]
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["class"] = pa.array(named, pa.string())
    columns["object_id"] = pa.array(sign * columns["object_id"].to_numpy())
    return pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])


def _shade(class_name: str) -> Rgb:
    return CHANGE_COLOURS.get(class_name.partition(_BEFORE_CLASS)[0], UNKNOWN_COLOUR)
