"""Tables of found objects: columns of equal length and ragged outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.outlines import Outlines, positions

NO_CLASS = -1
"""Class code of objects that are not typed."""


@dataclass(frozen=True)
class InstanceTable:
    """Objects of one kind, one row each.

    Lengths are in pixels of the image that the table belongs to, with corners at integers.

    Attributes:
        kind: nucleus, gland, lumen, ...
        classes: class names; `class_code` points into them.
        class_code: N int16, NO_CLASS where there is none.
        class_prob: N float32, share of the object's pixels that have this class.
        score: N float32, mean inside probability.
        centroid: N x 2 float64, (x, y).
        area_px: N float64.
        bbox: N x 4 float64, (left, top, right, bottom).
        first_px: N x 2 int64, (row, column) of the first pixel in raster order.
        outlines: N polygons.
    """

    kind: str
    classes: tuple[str, ...]
    class_code: npt.NDArray[np.int16]
    class_prob: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    centroid: npt.NDArray[np.float64]
    area_px: npt.NDArray[np.float64]
    bbox: npt.NDArray[np.float64]
    first_px: npt.NDArray[np.int64]
    outlines: Outlines

    @classmethod
    def empty(cls, kind: str, classes: tuple[str, ...] = ()) -> InstanceTable:
        """A table without rows."""
        return cls(
            kind=kind,
            classes=classes,
            class_code=np.zeros(0, np.int16),
            class_prob=np.zeros(0, np.float32),
            score=np.zeros(0, np.float32),
            centroid=np.zeros((0, 2)),
            area_px=np.zeros(0),
            bbox=np.zeros((0, 4)),
            first_px=np.zeros((0, 2), np.int64),
            outlines=Outlines.empty(),
        )

    def __len__(self) -> int:
        return len(self.class_code)

    def select(self, index: npt.ArrayLike) -> InstanceTable:
        """The rows at `index` (integers, or one boolean per row), in that order."""
        chosen = positions(index, len(self))
        columns: dict[str, Any] = {name: getattr(self, name)[chosen] for name in _COLUMNS}
        return replace(self, outlines=self.outlines.select(chosen), **columns)

    @staticmethod
    def concat(tables: Sequence[InstanceTable]) -> InstanceTable:
        """The rows of all tables, which must be of one kind and have the same classes; at least one table."""
        first = tables[0]
        if any((table.kind, table.classes) != (first.kind, first.classes) for table in tables):
            raise ValueError("tables of different kinds or classes cannot be joined")
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(table, name) for table in tables]) for name in _COLUMNS
        }
        return replace(first, outlines=Outlines.concat([table.outlines for table in tables]), **columns)

    def shift(self, dx: int, dy: int) -> InstanceTable:
        """All coordinates moved by whole pixels."""
        return replace(
            self,
            centroid=self.centroid + np.array([dx, dy]),
            bbox=self.bbox + np.array([dx, dy, dx, dy]),
            first_px=self.first_px + np.array([dy, dx]),
            outlines=self.outlines.transform(1.0, (dx, dy)),
        )

    def class_names(self) -> list[str | None]:
        """Class name per row, None where there is none."""
        return [None if code == NO_CLASS else self.classes[code] for code in self.class_code]

    def label_image(self, shape: tuple[int, int]) -> npt.NDArray[np.int32]:
        """H x W int32: row number + 1 inside an object, 0 outside. Exact for outlines along pixel edges."""
        return self.outlines.paint(shape, np.arange(1, len(self) + 1, dtype=np.int32))


_COLUMNS = tuple(f.name for f in fields(InstanceTable) if f.name not in ("kind", "classes", "outlines"))
