"""Outlines with fewer points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

_LITTLE_ENDIAN = 1
_SHARE = 0.5
"""GEOS keeps within its tolerance first, then may take out the point where a ring begins: twice as far."""


def simplified(batches: Iterable[pa.RecordBatch], tolerance_px: float) -> Iterator[pa.RecordBatch]:
    """The same rows with simpler outlines (Douglas and Peucker, by GEOS).

    Points are left out, none is moved, and every point that is left out lies within the tolerance of the new
    outline. Valid polygons stay valid, holes stay. All other columns, areas among them, are those of the full
    outlines; boxes still cover.

    Args:
        batches: rows of the object table.
        tolerance_px: in level-0 pixels.
    """
    for batch in batches:
        place = batch.schema.get_field_index("geometry")
        column = _simpler(batch.column(place), tolerance_px)
        yield batch.set_column(place, batch.schema.field(place), column)


def _simpler(polygons: pa.Array[Any], tolerance_px: float) -> pa.Array[Any]:
    values = np.asarray(polygons.to_pylist(), object)
    simple = shapely.simplify(shapely.from_wkb(values), _SHARE * tolerance_px, preserve_topology=True)
    return pa.array(shapely.to_wkb(simple, byte_order=_LITTLE_ENDIAN).tolist(), pa.binary())
