"""Instance tables as Arrow tables and back, without loss."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.core.errors import OutputError
from histocerb.core.instances import NO_CLASS, InstanceTable
from histocerb.core.wkb import decode_polygons, encode_polygons

_KEY = b"histocerb"
_PAIRS = {
    "centroid": ("x", "y"),
    "bbox": ("left", "top", "right", "bottom"),
    "first_px": ("first_row", "first_column"),
}
_PLAIN = ("class_prob", "score", "area_px")


def to_arrow(table: InstanceTable) -> pa.Table:
    """One row per object: class (dictionary, null where there is none), numbers in pixels, WKB outline.

    Kind and class names are in the metadata of the schema.
    """
    indices: pa.Array[Any] = pa.array(table.class_code, mask=table.class_code == NO_CLASS)
    columns: dict[str, pa.Array[Any]] = {
        "class": pa.DictionaryArray.from_arrays(indices, pa.array(table.classes, pa.string())),
        **{name: pa.array(getattr(table, name)) for name in _PLAIN},
    }
    for attribute, names in _PAIRS.items():
        for index, name in enumerate(names):
            columns[name] = pa.array(np.ascontiguousarray(getattr(table, attribute)[:, index]))
    columns["geometry"] = encode_polygons(table.outlines)
    words = json.dumps({"kind": table.kind, "classes": table.classes})
    return pa.table(columns).replace_schema_metadata({_KEY: words.encode()})


def from_arrow(table: pa.Table) -> InstanceTable:
    """The inverse of `to_arrow`.

    Raises:
        OutputError: The table was not made by `to_arrow`.
    """
    words = (table.schema.metadata or {}).get(_KEY)
    if words is None:
        raise OutputError(
            "Expected a table made by to_arrow, found one without its metadata; convert it anew."
        )
    meta = json.loads(words)
    codes = table.column("class").combine_chunks()
    indices = codes.indices if isinstance(codes, pa.DictionaryArray) else codes
    return InstanceTable(
        kind=meta["kind"],
        classes=tuple(meta["classes"]),
        class_code=indices.fill_null(NO_CLASS).to_numpy(zero_copy_only=False).astype(np.int16),
        class_prob=_numbers(table, "class_prob"),
        score=_numbers(table, "score"),
        area_px=_numbers(table, "area_px"),
        centroid=_stack(table, "centroid", np.float64),
        bbox=_stack(table, "bbox", np.float64),
        first_px=_stack(table, "first_px", np.int64),
        outlines=decode_polygons(table.column("geometry")),
    )


def _numbers(table: pa.Table, name: str) -> npt.NDArray[Any]:
    return table.column(name).to_numpy()


def _stack(table: pa.Table, attribute: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    columns = [_numbers(table, name) for name in _PAIRS[attribute]]
    return np.stack(columns, axis=1).astype(dtype, copy=False)
