"""The object table: one row per nucleus, gland and lumen, as GeoParquet 1.1.

Coordinates are level-0 pixels of the slide, x to the right, y down, pixel corners at integers, not rounded.
Rows come sorted by kind, then by place, so that a viewport reads few row groups.
"""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from histocerb.core.errors import OutputError
from histocerb.core.instances import NO_CLASS, InstanceTable
from histocerb.core.tasks import Task, TaskSpec
from histocerb.core.wkb import encode_polygons

ROW_GROUP_ROWS = 20_000
"""A row group ends with the first cell that reaches this many rows."""

NO_OBJECT = 0
"""Container id of what lies outside every container; object ids begin at 1."""

_BBOX = ("xmin", "ymin", "xmax", "ymax")
_GEO_METADATA = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {
        "geometry": {
            "encoding": "WKB",
            "geometry_types": ["Polygon"],
            "crs": None,
            "edges": "planar",
            "covering": {"bbox": {name: ["bbox", name] for name in _BBOX}},
        }
    },
}


@dataclass(frozen=True)
class Scale:
    """From working pixels to the units of tables.

    Attributes:
        slide_mpp: micrometres per level-0 pixel.
        working_mpp: micrometres per working pixel.
    """

    slide_mpp: float
    working_mpp: float

    @property
    def factor(self) -> float:
        """Level-0 pixels per working pixel."""
        return self.working_mpp / self.slide_mpp

    @property
    def pixel_um2(self) -> float:
        """Area of a working pixel in square micrometres."""
        return self.working_mpp**2


def container_task(spec: TaskSpec) -> Task | None:
    """The task whose objects contain others (glands), or None."""
    containers = (spec.container_of(task) for task in spec.objects)
    return next((container for container in containers if container is not None), None)


def container_column(spec: TaskSpec) -> str | None:
    """Name of the column with the id of the containing object, `gland_id` for the paper's tasks."""
    task = container_task(spec)
    return f"{task.kind}_id" if task else None


def object_schema(spec: TaskSpec) -> pa.Schema:
    """Columns of `objects.parquet`, with the GeoParquet metadata."""
    words = pa.dictionary(pa.int8(), pa.string())
    fields = [
        pa.field("object_id", pa.int64(), nullable=False),
        pa.field("kind", words, nullable=False),
        pa.field("class", words),
        pa.field("class_prob", pa.float32()),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("x", pa.float32(), nullable=False),
        pa.field("y", pa.float32(), nullable=False),
        pa.field("area_um2", pa.float32(), nullable=False),
        pa.field("tissue", words),
        pa.field("bbox", pa.struct(_bbox_fields())),
        pa.field("geometry", pa.binary(), nullable=False),
    ]
    column = container_column(spec)
    if column:
        fields.insert(8, pa.field(column, pa.int64()))
    return pa.schema(fields, metadata={"geo": json.dumps(_GEO_METADATA)})


def object_rows(
    spec: TaskSpec,
    table: InstanceTable,
    first_id: int,
    scale: Scale,
    container_ids: npt.NDArray[np.int64],
    tissue_codes: npt.NDArray[np.int16],
) -> pa.Table:
    """Rows of `objects.parquet`.

    Args:
        spec: gives the dictionaries of kinds and classes.
        table: N objects of one kind in working pixels.
        first_id: object id of the first row; the others follow.
        scale: working pixels to level-0 pixels and micrometres.
        container_ids: N ids of containing objects, NO_OBJECT where there is none.
        tissue_codes: N classes of the patch task, NO_CLASS where not computed.

    Returns:
        A table with the columns of `object_schema`.
    """
    typed = table.class_code != NO_CLASS
    words = object_classes(spec)
    local = {NO_CLASS: NO_CLASS} | {
        code: object_classes(spec).index(n) for code, n in enumerate(table.classes)
    }
    codes = np.array([local[int(code)] for code in table.class_code], np.int16)
    kinds = tuple(task.kind for task in spec.objects)
    xy = (table.centroid * scale.factor).astype(np.float32)
    bbox = table.bbox * scale.factor
    tissue = spec.patch.classes if spec.patch else ()
    columns: dict[str, pa.Array[Any]] = {
        "object_id": pa.array(first_id + np.arange(len(table), dtype=np.int64)),
        "kind": _words(np.full(len(table), kinds.index(table.kind), np.int16), kinds),
        "class": _words(codes, words),
        "class_prob": pa.array(table.class_prob, mask=~typed),
        "score": pa.array(table.score),
        "x": pa.array(xy[:, 0]),
        "y": pa.array(xy[:, 1]),
        "area_um2": pa.array((table.area_px * scale.pixel_um2).astype(np.float32)),
        "tissue": _words(tissue_codes, tissue),
        "bbox": pa.StructArray.from_arrays(
            [pa.array(np.ascontiguousarray(side)) for side in bbox.T], fields=list(_bbox_fields())
        ),
        "geometry": encode_polygons(table.outlines.transform(scale.factor)),
    }
    column = container_column(spec)
    if column:
        columns[column] = pa.array(container_ids, mask=container_ids == NO_OBJECT)
    schema = object_schema(spec)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def object_classes(spec: TaskSpec) -> tuple[str, ...]:
    """Classes of all kinds of objects, in order; the dictionary of column `class`."""
    return tuple(dict.fromkeys(name for task in spec.objects for name in task.classes))


Box = tuple[float, float, float, float]
"""Left, top, right, bottom in level-0 pixels."""


def read_objects(
    path: Path, kind: str | None = None, columns: Sequence[str] | None = None, box: Box | None = None
) -> pa.Table:
    """The object table of a result folder.

    Args:
        path: `objects.parquet`.
        kind: only rows of that kind.
        columns: only these columns.
        box: only rows whose bounding boxes overlap it.

    Raises:
        OutputError: The file is missing or damaged.
    """
    chosen = [] if kind is None else [pc.field("kind") == kind]
    if box is not None:
        left, top, right, bottom = (pc.scalar(side) for side in box)
        chosen += [pc.field("bbox", "xmin") < right, pc.field("bbox", "xmax") > left]
        chosen += [pc.field("bbox", "ymin") < bottom, pc.field("bbox", "ymax") > top]
    filters = functools.reduce(operator.and_, chosen) if chosen else None
    try:
        return pq.read_table(path, columns=None if columns is None else list(columns), filters=filters)
    except FileNotFoundError as error:
        raise OutputError(f"Expected a table of objects, found no {path}; run histocerb segment.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise OutputError(
            f"Expected a table of objects, found a damaged file {path} ({error}); "
            "run histocerb segment again."
        ) from error


def _bbox_fields() -> tuple[pa.Field[Any], ...]:
    return tuple(pa.field(name, pa.float64(), nullable=False) for name in _BBOX)


def _words(codes: npt.NDArray[np.int16], words: tuple[str, ...]) -> pa.Array[Any]:
    """Dictionary array of codes into `words`; NO_CLASS becomes null."""
    indices: pa.Array[Any] = pa.array(codes.astype(np.int8), mask=codes == NO_CLASS)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))
