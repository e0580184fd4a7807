"""Some objects of a slide as a file to take away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from enum import StrEnum
from typing import IO
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
from histocerb.web.index import NO_WORD, ObjectIndex, Rows
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


def switched_on(index: ObjectIndex, rows: Rows, off: str | None) -> Rows:
    """The rows whose kinds and classes are not switched off.

    Args:
        index: the objects, with classes or with what became of them.
        rows: of it.
        off: `KIND` and `KIND/CLASS`, separated by commas; None: nothing.

    Raises:
        UsageError: There is no such kind or class.
    """
    for kind, _, class_name in (word.partition("/") for word in (off or "").split(",") if word):
        is_off = index.columns["kind"][rows] == index.kind_code(kind)
        if class_name and class_name not in (*index.classes, kind):
            raise UsageError(f"expected a class of {', '.join(index.classes)}, found {class_name!r}")
        if class_name:
            code = index.classes.index(class_name) if class_name in index.classes else NO_WORD
            is_off &= index.columns["class_code"][rows] == code
        rows = rows[~is_off]
    return rows


def of_result(opened: Opened, rows: Rows) -> Iterator[tuple[Rows, pa.RecordBatch]]:
    """Sorted rows of a result, a row group at a time, with their numbers.

    Raises:
        OutputError: The table is damaged.
    """
    bounds = opened.index.group_bounds
    groups = np.searchsorted(bounds, rows, side="right") - 1
    try:
        with pq.ParquetFile(own_file(opened.folder, OBJECTS_FILE)) as file:
            for group in np.unique(groups).tolist():
                own = rows[groups == group]
                (batch,) = file.read_row_group(group).combine_chunks().to_batches()
                yield own, batch.take(pa.array(own - bounds[group]))
    except (OSError, pa.ArrowInvalid) as error:
        raise OutputError(
            f"expected a table of objects, found a damaged file {OBJECTS_FILE} ({error}); "
            "run histocerb segment again"
        ) from error


def as_geojson(
    batches: Iterable[pa.RecordBatch], opened: Opened, shade: Callable[[str], Rgb] = colour
) -> Iterator[bytes]:
    """Rows as QuPath reads them, in pieces; a large file waits on disk.

    Args:
        batches: rows of the object table.
        opened: the result that they are of.
        shade: colour of a class.

    Raises:
        OutputError: The rows cannot be read, or there is no room for the file.
    """
    kinds, origin_px = annotation_kinds(opened.spec), origin_of(opened.manifest)
    return _pieces(lambda file: write_features(batches, file, kinds, shade, origin_px))


def as_csv(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Rows as CSV with the columns of the table but outlines, in pieces; a large file waits on disk.

    Raises:
        OutputError: The rows cannot be read, or there is no room for the file.
    """
    return _pieces(lambda file: _write_csv(batches, file))


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


def _write_csv(batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    header = True
    for batch in batches:
        table = pa.Table.from_batches([batch]).drop_columns(list(_WITHOUT))
        plain = [
            pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema
        ]
        pc_csv.write_csv(table.cast(pa.schema(plain)), file, pc_csv.WriteOptions(include_header=header))
        header = False
