"""GeoParquet files: the columns of `objects.parquet`, for GeoPandas, DuckDB, QGIS and the like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.export.files import new_file

_ROW_GROUP_ROWS = 20_000
"""A row group ends with the first batch that reaches this many rows."""


def write_geoparquet(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    """Write rows as they are; a file of that name is complete.

    Args:
        batches: Rows of the object table.
        schema: Of the object table, with its GeoParquet metadata.
        path: File to write; replaced if there is one.

    Returns:
        The number of rows.

    Raises:
        OutputError: The file cannot be written.
    """
    count = 0
    with new_file(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in _row_groups(batches, schema):
            writer.write_table(group, row_group_size=len(group))
            count += len(group)
    return count


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches put together until they fill a row group."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting += [batch] if batch.num_rows else []
        if sum(part.num_rows for part in waiting) >= _ROW_GROUP_ROWS:
            yield pa.Table.from_batches(waiting, schema)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting, schema)
