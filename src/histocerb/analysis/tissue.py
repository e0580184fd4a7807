"""The tissue table: one row per cell of 72 um that the network has seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from histocerb.analysis.objects import Scale
from histocerb.core.errors import OutputError
from histocerb.core.instances import NO_CLASS
from histocerb.core.tasks import CELL_PX, TaskSpec

Codes = npt.NDArray[np.int16]


@dataclass(frozen=True)
class TissueCells:
    """Tissue classes on the grid of cells of a slide.

    Attributes:
        classes: C class names.
        probabilities: rows x columns x C float32; NaN in cells that were not predicted.
    """

    classes: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]

    @cached_property
    def codes(self) -> Codes:
        """Rows x columns: most probable class, NO_CLASS where not predicted."""
        if not self.classes:
            return np.full(self.probabilities.shape[:2], NO_CLASS, np.int16)
        known = ~np.any(np.isnan(self.probabilities), axis=2, keepdims=True)
        best = np.argmax(np.where(known, self.probabilities, 0.0), axis=2)
        codes: Codes = np.where(known[..., 0], best, NO_CLASS).astype(np.int16)
        return codes

    def codes_at(self, points: npt.NDArray[np.float64]) -> Codes:
        """Class of the cell in which each point (x, y in working pixels) lies."""
        if not self.classes:
            return np.full(len(points), NO_CLASS, np.int16)
        column, row = np.floor(points / CELL_PX).astype(np.int64).T
        codes: Codes = self.codes[row, column]
        return codes


def prob_column(class_name: str) -> str:
    """Column of the probability of a tissue class."""
    return f"prob_{class_name}"


def tissue_schema(spec: TaskSpec) -> pa.Schema:
    """Columns of `tissue.parquet`: place in the grid, level-0 square, class, probabilities."""
    classes = spec.patch.classes if spec.patch else ()
    fields: list[pa.Field[Any]] = [pa.field(name, pa.int32(), nullable=False) for name in ("column", "row")]
    fields += [pa.field(name, pa.float32(), nullable=False) for name in ("x", "y", "width")]
    fields.append(pa.field("class", pa.dictionary(pa.int8(), pa.string()), nullable=False))
    fields += [pa.field(prob_column(name), pa.float32(), nullable=False) for name in classes]
    return pa.schema(fields)


def tissue_rows(spec: TaskSpec, cells: TissueCells, scale: Scale) -> pa.Table:
    """Rows of `tissue.parquet` in raster order: one per predicted cell.

    `x, y, width` are the upper left corner and the side of the cell in level-0 pixels; cells at the right and
    lower border reach beyond the slide.
    """
    codes = cells.codes
    row, column = np.nonzero(codes != NO_CLASS)
    side = CELL_PX * scale.factor
    index: pa.Array[Any] = pa.array(codes[row, column].astype(np.int8))
    columns: list[pa.Array[Any]] = [
        pa.array(column.astype(np.int32)),
        pa.array(row.astype(np.int32)),
        pa.array((column * side).astype(np.float32)),
        pa.array((row * side).astype(np.float32)),
        pa.array(np.full(len(row), side, np.float32)),
        pa.DictionaryArray.from_arrays(index, pa.array(cells.classes, pa.string())),
    ]
    columns += [pa.array(np.ascontiguousarray(channel)) for channel in cells.probabilities[row, column].T]
    return pa.table(columns, schema=tissue_schema(spec))


def read_tissue(path: Path) -> pa.Table:
    """The tissue table of a result folder.

    Raises:
        OutputError: The file is missing or damaged.
    """
    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise OutputError(f"Expected a table of tissue, found no {path}; run histocerb segment.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise OutputError(
            f"Expected a table of tissue, found a damaged file {path} ({error}); run histocerb segment again."
        ) from error
