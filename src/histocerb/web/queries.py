"""Questions about the objects of a slide: how many, which in order, what an object holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.analysis.summary import Counts, untyped_name
from histocerb.core.errors import UsageError
from histocerb.web.cache import ByteCache
from histocerb.web.index import NO_WORD, Column, ObjectIndex, Rows

Point = tuple[float, float]

SORTABLE = ("object_id", "class_prob", "score", "area_um2", "x", "y")
_ORDER_BYTES = 64 << 20


@dataclass(frozen=True)
class Choice:
    """Which objects, in which order.

    Attributes:
        kind: which kind.
        class_name: only of this class; None: all.
        least: least probability of the class.
        by: column to sort by, one of SORTABLE.
        descending: largest first.
    """

    kind: str
    class_name: str | None = None
    least: float = 0.0
    by: str = "object_id"
    descending: bool = False


class Orders:
    """Sorted rows of an index; orders that were asked for are kept, up to a bound."""

    def __init__(self, index: ObjectIndex) -> None:
        self._index = index
        self._kept: ByteCache[Choice, Rows] = ByteCache(_ORDER_BYTES, lambda rows: rows.nbytes)

    def rows(self, choice: Choice) -> Rows:
        """Rows of a choice in its order; objects without a value come last, equal ones by id.

        Raises:
            UsageError: There is no such kind, class or column.
        """
        return self._kept.get(choice, lambda: self._sorted(choice))

    def _sorted(self, choice: Choice) -> Rows:
        index = self._index
        rows = np.flatnonzero(index.columns["kind"] == index.kind_code(choice.kind))
        if choice.class_name is not None:
            if choice.class_name not in index.classes:
                raise UsageError(
                    f"expected a class of {', '.join(index.classes)}, found {choice.class_name!r}"
                )
            rows = rows[index.columns["class_code"][rows] == index.classes.index(choice.class_name)]
        if choice.by not in SORTABLE:
            raise UsageError(f"expected a column of {', '.join(SORTABLE)}, found {choice.by!r}")
        rows = index.confident(rows, choice.least)
        values = index.columns[choice.by][rows]
        return rows[np.lexsort((index.columns["object_id"][rows], -values if choice.descending else values))]


def counts(index: ObjectIndex, rows: Rows) -> Counts:
    """Objects per kind and class, as `count_objects` names them."""
    words = len(index.classes) + 1  # none comes first
    keys = index.columns["kind"][rows].astype(np.int16) * words + index.columns["class_code"][rows] - NO_WORD
    table = np.bincount(keys, minlength=len(index.kinds) * words).reshape(-1, words).tolist()
    found: Counts = {}
    for kind, classes, (untyped, *typed) in zip(index.kinds, index.classes_of, table, strict=True):
        found[kind] = {name: typed[index.classes.index(name)] for name in classes}
        if untyped or not classes:
            found[kind][untyped_name(kind, classes)] = untyped
    return found


def rows_in(index: ObjectIndex, corners: Sequence[Point] | None) -> Rows:
    """Rows whose centroids lie in a convex polygon, or all; in the order of the file."""
    if corners is None:
        return np.arange(len(index))
    points = np.array(corners, np.float64)
    slide = np.array([[0, 0], [0, index.height_px], [index.width_px, 0], [index.width_px, index.height_px]])
    if np.all(_within(points, *slide.T)):
        return np.arange(len(index))
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    near = [grid.near((left, top, right, bottom)) for grid in index.grids]
    rows = np.concatenate([np.zeros(0, np.int64), *near])
    return np.sort(rows[_within(points, index.columns["x"][rows], index.columns["y"][rows])])


def _within(points: Column, x: Column, y: Column) -> npt.NDArray[np.bool_]:
    """Whether places lie in a convex polygon, its border included."""
    side = np.zeros((2, len(x)), np.bool_)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        turn = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        side[0] |= turn < 0
        side[1] |= turn > 0
    return np.asarray(~(side[0] & side[1]))


def row_facts(index: ObjectIndex, row: int) -> dict[str, Any]:
    """What is known of an object, but its outline and contents."""
    columns = index.columns
    class_code, tissue = int(columns["class_code"][row]), int(columns["tissue"][row])
    class_prob = float(columns["class_prob"][row])
    area = float(columns["area_um2"][row])
    return {
        "id": int(columns["object_id"][row]),
        "kind": index.kinds[int(columns["kind"][row])],
        "class": index.classes[class_code] if class_code != NO_WORD else None,
        "class_prob": None if np.isnan(class_prob) else class_prob,
        "score": float(columns["score"][row]),
        "x": float(columns["x"][row]),
        "y": float(columns["y"][row]),
        "box": [float(side) for side in index.boxes[row]],
        "area_um2": area,
        "diameter_um": 2 * float(np.sqrt(area / np.pi)),
        "container": int(columns["container"][row]) or None,
        "tissue": index.tissues[tissue] if tissue != NO_WORD else None,
    }


def contents(index: ObjectIndex, object_id: int) -> Counts:
    """What lies in an object: counts per kind and class, kinds without any left out."""
    held = counts(index, np.flatnonzero(index.columns["container"] == object_id))
    return {kind: of_kind for kind, of_kind in held.items() if any(of_kind.values())}
