"""Some objects of a slide as a file to take away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from histocerb.core.qupath import write_features
from histocerb.export.geojson import annotation_kinds
from histocerb.inference.tables import OBJECTS_FILE
from histocerb.web.index import Rows
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


def of_kinds(opened: Opened, rows: Rows, kinds: Sequence[str] | None) -> Rows:
    """The rows that are of these kinds; None: all."""
    if kinds is None:
        return rows
    codes = np.array([opened.index.kind_code(kind) for kind in kinds], np.int8)
    return rows[np.isin(opened.index.columns["kind"][rows], codes)]


def written(opened: Opened, rows: Rows, form: Format) -> Iterator[bytes]:
    """Rows as a file, in pieces; a large one waits on disk.

    Args:
        opened: the result they are of.
        rows: sorted.
        form: GeoJSON as QuPath reads it, or CSV with the columns of the table.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        if form is Format.GEOJSON:
            write_features(_batches(opened, rows), file, annotation_kinds(opened.spec))
        else:
            _write_csv(_batches(opened, rows), file)
        file.seek(0)
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _batches(opened: Opened, rows: Rows) -> Iterator[pa.RecordBatch]:
    bounds = opened.index.group_bounds
    groups = np.searchsorted(bounds, rows, side="right") - 1
    with pq.ParquetFile(own_file(opened.folder, OBJECTS_FILE)) as file:
        for group in np.unique(groups).tolist():
            table = file.read_row_group(group)
            yield from table.take(rows[groups == group] - bounds[group]).to_batches()


def _write_csv(batches: Iterator[pa.RecordBatch], file: IO[bytes]) -> None:
    header = True
    for batch in batches:
        table = pa.Table.from_batches([batch]).drop_columns(list(_WITHOUT))
        plain = [
            pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema
        ]
        pc_csv.write_csv(table.cast(pa.schema(plain)), file, pc_csv.WriteOptions(include_header=header))
        header = False
