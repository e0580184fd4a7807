"""Some objects of a slide as a file to take away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import IO, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from fastapi.responses import StreamingResponse

from histocerb.core.colours import Rgb, colour
from histocerb.core.errors import OutputError, UsageError
from histocerb.core.qupath import write_features
from histocerb.export.geojson import annotation_kinds
from histocerb.inference.manifest import origin_of
from histocerb.inference.tables import OBJECTS_FILE
from histocerb.web.index import ObjectIndex, Rows, check_kind
from histocerb.web.opened import Opened
from histocerb.web.results import own_file

_IN_MEMORY_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20
_WITHOUT = ("bbox", "geometry")
"""Columns that CSV cannot hold."""


class Format(StrEnum):
    """Formats that a selection can have, by the ending of their files."""

    GEOJSON = "geojson"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        """For browsers."""
        return "application/geo+json" if self is Format.GEOJSON else "text/csv"


def switched_off(off: str | None, *indices: ObjectIndex) -> list[tuple[str, str]]:
    """Kinds and classes that are switched off; "" is all of a kind.

    Args:
        off: `KIND` and `KIND/CLASS`, separated by commas; None: nothing.
        indices: the objects of one result or of two, with classes or with what became of them.

    Raises:
        UsageError: None of them has such a kind or class.
    """
    classes = dict.fromkeys(known for index in indices for known in index.classes)
    found = []
    for kind, _, class_name in (word.partition("/") for word in (off or "").split(",") if word):
        check_kind(kind, *indices)
        if class_name and class_name not in classes:
            raise UsageError(f"expected a class of {', '.join(classes)}, found {class_name!r}")
        found.append((kind, class_name))
    return found


def switched_on(index: ObjectIndex, rows: Rows, off: Iterable[tuple[str, str]]) -> Rows:
    """The rows of an index without the kinds and classes of `switched_off`, of which it may lack some."""
    for kind, class_name in off:
        if kind not in index.kinds or (class_name and class_name not in index.classes):
            continue
        is_off = index.columns["kind"][rows] == index.kind_code(kind)
        if class_name:
            is_off &= index.columns["class_code"][rows] == index.classes.index(class_name)
        rows = rows[~is_off]
    return rows


def columns_of(opened: Opened) -> pa.Schema:
    """Columns of the table of a result that CSV can hold; words are plain text.

    Raises:
        OutputError: The table is damaged.
    """
    with _table_of(opened) as file:
        stored = [field for field in file.schema_arrow if field.name not in _WITHOUT]
    return pa.schema([f.with_type(pa.string()) if pa.types.is_dictionary(f.type) else f for f in stored])


def of_result(opened: Opened, rows: Rows) -> Iterator[tuple[Rows, pa.RecordBatch]]:
    """Sorted rows of a result, a row group at a time, with their numbers.

    Raises:
        OutputError: The table is damaged.
    """
    bounds = opened.index.group_bounds
    groups = np.searchsorted(bounds, rows, side="right") - 1
    with _table_of(opened) as file:
        for group in np.unique(groups).tolist():
            own = rows[groups == group]
            (batch,) = file.read_row_group(group).combine_chunks().to_batches()
            yield own, batch.take(pa.array(own - bounds[group]))


@contextmanager
def _table_of(opened: Opened) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(own_file(opened.folder, OBJECTS_FILE)) as file:
            yield file
    except (OSError, pa.ArrowInvalid) as error:
        raise OutputError(
            f"expected a table of objects, found a damaged file {OBJECTS_FILE} ({error}); "
            "run histocerb segment again"
        ) from error


def as_geojson(
    batches: Iterable[pa.RecordBatch], results: Sequence[Opened], shade: Callable[[str], Rgb] = colour
) -> Iterator[bytes]:
    """Rows as QuPath reads them, in pieces; a large file waits on disk.

    Args:
        batches: rows of the object table.
        results: those that they are of; several are of one slide.
        shade: colour of a class.

    Raises:
        OutputError: The rows cannot be read, or there is no room for the file.
    """
    kinds = frozenset().union(*(annotation_kinds(opened.spec) for opened in results))
    origin_px = origin_of(results[0].manifest)
    return _pieces(lambda file: write_features(batches, file, kinds, shade, origin_px))


def as_csv(batches: Iterable[pa.RecordBatch], columns: pa.Schema) -> Iterator[bytes]:
    """Rows as CSV below a line with names, in pieces; a large file waits on disk.

    Args:
        batches: rows; what they lack of the columns stays empty.
        columns: of the file.

    Raises:
        OutputError: The rows cannot be read, or there is no room for the file.
    """
    return _pieces(lambda file: _write_csv(batches, columns, file))


def download(name: str, form: Format, pieces: Iterator[bytes]) -> StreamingResponse:
    """An answer that the browser saves under the name of the slide."""
    disposition = f"attachment; filename*=UTF-8''{quote(name)}.{form}"
    headers = {"Content-Disposition": disposition}
    return StreamingResponse(pieces, media_type=form.media_type, headers=headers)


def _pieces(write: Callable[[IO[bytes]], object]) -> Iterator[bytes]:
    """What was written; it is whole before the first piece, since an answer that has begun cannot fail."""
    try:
        with ExitStack() as opened:
            file = opened.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))
            write(file)
            file.seek(0)
            return _read(file, opened.pop_all())
    except OSError as error:
        raise OutputError(
            f"expected room for the file in {tempfile.gettempdir()}, found {error}; free some space"
        ) from error


def _read(file: IO[bytes], opened: ExitStack) -> Iterator[bytes]:
    with opened:
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _write_csv(batches: Iterable[pa.RecordBatch], columns: pa.Schema, file: IO[bytes]) -> None:
    pc_csv.write_csv(columns.empty_table(), file)
    for batch in batches:
        values = [_column(batch, field) for field in columns]
        table = pa.Table.from_arrays(values, schema=columns)
        pc_csv.write_csv(table, file, pc_csv.WriteOptions(include_header=False))


def _column(batch: pa.RecordBatch, field: pa.Field[Any]) -> pa.Array[Any]:
    has = field.name in batch.schema.names
    values: pa.Array[Any] = (
        batch.column(field.name).cast(field.type) if has else pa.nulls(len(batch), field.type)
    )
    return values
