"""The final tables of a slide, streamed from the spilled objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.analysis.containment import labels_at
from histocerb.analysis.objects import (
    NO_OBJECT,
    ROW_GROUP_ROWS,
    Scale,
    container_task,
    object_rows,
    object_schema,
)
from histocerb.analysis.summary import Counts, add_counts, count_objects, no_objects
from histocerb.analysis.tissue import TissueCells, tissue_rows
from histocerb.core.instances import InstanceTable
from histocerb.core.tasks import Task, TaskSpec
from histocerb.inference.atomic import whole_file
from histocerb.inference.containers import ContainerMap
from histocerb.inference.spill import Spill

OBJECTS_FILE = "objects.parquet"
TISSUE_FILE = "tissue.parquet"

_WITHOUT_STATISTICS = "geometry"


@dataclass(frozen=True)
class FoundObjects:
    """All that is known of a slide when its tables are written.

    Attributes:
        spec: its tasks.
        spills: per task name, the finished objects.
        containers: labels of the containing objects, or None where the spec has none.
        cells: tissue classes.
        scale: units of the tables.
    """

    spec: TaskSpec
    spills: Mapping[str, Spill]
    containers: ContainerMap | None
    cells: TissueCells
    scale: Scale

    def first_id(self, task: Task) -> int:
        """Object id of the first object of a task; ids run through the kinds in their order."""
        before = self.spec.objects[: self.spec.objects.index(task)]
        return 1 + sum(len(self.spills[other.name]) for other in before)


def write_objects(
    path: Path, found: FoundObjects, progress: Callable[[int], None], draw: Callable[[pa.Table], None]
) -> Counts:
    """Write `objects.parquet`: rows in the order of ids, memory bounded by a few row groups.

    Args:
        path: where it appears when it is whole.
        found: the objects.
        progress: called with the number of rows that were written since the last call.
        draw: called with every row group, in their order, while others are made and written.

    Returns:
        Objects per kind and class.
    """
    schema = object_schema(found.spec)
    counts = no_objects(found.spec)
    statistics = [name for name in _leaf_columns(schema) if name != _WITHOUT_STATISTICS]
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with (
        whole_file(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            write_statistics=statistics,
            use_dictionary=words,  # type: ignore[arg-type]  # the stubs know only bool
        ) as writer,
        ThreadPoolExecutor(1, "histocerb-draw") as drawer,
    ):
        drawn: Future[None] | None = None
        for task in found.spec.objects:
            for group in _ahead(_row_groups(found, task)):
                if drawn is not None:
                    drawn.result()
                drawn = drawer.submit(draw, group)
                writer.write_table(group, row_group_size=max(1, len(group)))
                counts = add_counts(counts, count_objects(group, found.spec))
                progress(len(group))
        if drawn is not None:
            drawn.result()
    return counts


def write_tissue(path: Path, found: FoundObjects) -> pa.Table:
    """Write `tissue.parquet` and give its rows."""
    rows = tissue_rows(found.spec, found.cells, found.scale)
    with whole_file(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd")
    return rows


def _ahead(groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same, each one made while the one before is written."""
    with ThreadPoolExecutor(1, "histocerb-tables") as maker:
        waiting = maker.submit(next, groups, None)
        while (group := waiting.result()) is not None:
            waiting = maker.submit(next, groups, None)
            yield group


def _row_groups(found: FoundObjects, task: Task) -> Iterator[pa.Table]:
    """Rows of one kind, cut after the cell that fills a row group."""
    waiting: list[pa.Table] = []
    next_id = found.first_id(task)
    for table in found.spills[task.name]:
        waiting.append(_rows(found, task, table, next_id))
        next_id += len(table)
        if sum(map(len, waiting)) >= ROW_GROUP_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _rows(found: FoundObjects, task: Task, table: InstanceTable, first_id: int) -> pa.Table:
    container_ids = _container_ids(found, task, table)
    tissue = found.cells.codes_at(table.centroid)
    return object_rows(found.spec, table, first_id, found.scale, container_ids, tissue)


def _container_ids(found: FoundObjects, task: Task, table: InstanceTable) -> npt.NDArray[np.int64]:
    """Container at the centroid; of objects that lie in containers by definition, at their first pixel."""
    container = container_task(found.spec)
    if container is None or container == task or found.containers is None:
        return np.full(len(table), NO_OBJECT, np.int64)
    is_held = found.spec.container_of(task) == container
    points = table.first_px[:, ::-1] + 0.5 if is_held else table.centroid
    labels = labels_at(found.containers.read, points / found.containers.factor)
    return np.where(labels > 0, labels - 1 + found.first_id(container), NO_OBJECT)


def _leaf_columns(schema: pa.Schema) -> list[str]:
    return [column.path for column in _parquet_columns(schema)]


def _parquet_columns(schema: pa.Schema) -> list[pq.ColumnSchema]:
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    parsed = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [parsed.column(index) for index in range(len(parsed))]
