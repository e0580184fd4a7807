"""Objects as QuPath (0.4 and later) reads them: GeoJSON features made from rows of the object table.

Coordinates are those of the rows, less an origin, rounded to a thousandth of a pixel. A batch of rows is
turned into text as a whole, by Arrow.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterable
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from histocerb.core.colours import Rgb, colour
from histocerb.core.outlines import Int, Outlines
from histocerb.core.wkb import closed_rings, decode_polygons

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "histocerb")
"""The id of a feature is uuid5(NAMESPACE, object id in decimal)."""

_DECIMALS = 3
_MEASUREMENTS = {"area_um2": "Area µm^2", "class_prob": "Class probability", "score": "Score"}
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def write_features(
    batches: Iterable[pa.RecordBatch],
    file: IO[bytes],
    annotations: Collection[str],
    shade: Callable[[str], Rgb] = colour,
    origin_px: tuple[int, int] = (0, 0),
) -> int:
    """Write a FeatureCollection, one feature per line, in constant memory.

    Args:
        batches: rows of the object table.
        file: where to.
        annotations: kinds to write as annotations, which people can edit; the others are detections.
        shade: colour of a class.
        origin_px: the pixel (x, y) that is (0, 0) in the file.

    Returns:
        The number of features.
    """
    count = 0
    file.write(b'{"type":"FeatureCollection","features":[')
    for batch in batches:
        if batch.num_rows == 0:
            continue
        text = _joined(",\n", np.array([0, batch.num_rows]), features(batch, annotations, shade, origin_px))
        file.write(b",\n" if count else b"\n")
        file.write(memoryview(text[0].as_buffer()))
        count += batch.num_rows
    file.write(b"\n]}\n")
    return count


def features(
    batch: pa.RecordBatch,
    annotations: Collection[str],
    shade: Callable[[str], Rgb] = colour,
    origin_px: tuple[int, int] = (0, 0),
) -> pa.Array[Any]:
    """One GeoJSON feature per row, as text."""
    return _concatenated(
        '{"type":"Feature","id":"',
        pa.array(feature_ids(batch.column("object_id").to_numpy().tolist()), pa.string()),
        '","geometry":{"type":"Polygon","coordinates":[[[',
        _coordinates(decode_polygons(batch.column("geometry")), origin_px),
        ']]]},"properties":{',
        _properties(batch, annotations, shade),
        ',"isLocked":false,"measurements":{',
        _measurements(batch),
        "}}}",
    )


def feature_ids(object_ids: Iterable[int]) -> list[str]:
    """UUIDs (version 5) that depend on the object ids only."""
    ids = []
    prefix = NAMESPACE.bytes
    for object_id in object_ids:
        digits = hashlib.sha1(prefix + b"%d" % object_id, usedforsecurity=False).hexdigest()
        third, fourth = f"5{digits[13:16]}", _VARIANT[digits[16]] + digits[17:20]
        ids.append(f"{digits[:8]}-{digits[8:12]}-{third}-{fourth}-{digits[20:32]}")
    return ids


def _coordinates(outlines: Outlines, origin_px: tuple[int, int]) -> pa.Array[Any]:
    """Per object the inner text of its coordinates, x,y],[x,y]],[[x,y: rings closed."""
    points, ring_offsets = closed_rings(outlines)
    rounded = np.round(points - origin_px, _DECIMALS) + 0.0
    x, y = (pa.array(np.ascontiguousarray(axis)).cast(pa.string()) for axis in rounded.T)
    rings = _joined("],[", ring_offsets, _concatenated(x, ",", y))
    return _joined("]],[[", outlines.object_offsets, rings)


def _properties(
    batch: pa.RecordBatch, annotations: Collection[str], shade: Callable[[str], Rgb]
) -> pa.Array[Any]:
    """Object type and classification: text per (kind, class), then looked up."""
    kinds, classes = (batch.column(name).cast(pa.string()).to_pylist() for name in ("kind", "class"))
    pairs = list(zip(kinds, classes, strict=True))
    texts = {pair: _classification(str(pair[0]), pair[1], annotations, shade) for pair in set(pairs)}
    return pa.array([texts[pair] for pair in pairs], pa.string())


def _classification(
    kind: str, class_name: str | None, annotations: Collection[str], shade: Callable[[str], Rgb]
) -> str:
    name = class_name or kind
    words = {
        "objectType": "annotation" if kind in annotations else "detection",
        "classification": {"name": name, "color": shade(name)},
    }
    return json.dumps(words, separators=(",", ":"))[1:-1]


def _measurements(batch: pa.RecordBatch) -> pa.Array[Any]:
    """`"name":value` of the columns that are finite, separated by commas."""
    texts = []
    for column, name in _MEASUREMENTS.items():
        values = batch.column(column)
        text = _concatenated(f"{json.dumps(name, ensure_ascii=False)}:", values.cast(pa.string()))
        texts.append(pc.if_else(pc.is_finite(values), text, None))
    joined: pa.Array[Any] = pc.binary_join_element_wise(*texts, ",", null_handling="skip")
    return joined


def _concatenated(*parts: str | pa.Array[Any]) -> pa.Array[Any]:
    """Row by row; null where a part is null."""
    text: pa.Array[Any] = pc.binary_join_element_wise(*parts, "")  # type: ignore[call-overload]
    return text


def _joined(separator: str, bounds: Int, texts: pa.Array[Any]) -> pa.Array[Any]:
    """One text per interval of rows."""
    lists = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), texts)
    text: pa.Array[Any] = pc.binary_join(lists, separator)  # type: ignore[assignment]
    return text
