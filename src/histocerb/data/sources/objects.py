"""From ids and class codes of a data set to objects of a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import ObjectLabels
from histocerb.data.class_names import mapped


def of_one_class(ids: npt.NDArray[np.int32], name: str) -> ObjectLabels:
    """Objects that are all of the class `name`."""
    return ObjectLabels(ids, {int(k): name for k in np.unique(ids) if k})


def typed(
    ids: npt.NDArray[np.int32],
    code_of: Mapping[int, int],
    table: Mapping[int, str | None],
    path: Path,
    *,
    drop_unmapped: bool,
) -> ObjectLabels:
    """Objects with our class names.

    Args:
        ids: H x W, 0 for background.
        code_of: class code per id; ids without pixels do not matter.
        table: our name of a code (`data/class_names.py`).
        path: file of the codes, for errors.
        drop_unmapped: objects whose code the table lacks are of unknown class.

    Raises:
        DataError: an object has no code, or one that the table lacks.
    """
    present = [int(k) for k in np.unique(ids) if k]
    if lacking := [k for k in present if k not in code_of]:
        raise DataError(
            f"{path}: expected a class for each of {len(present)} objects, "
            f"found none for ids {lacking[:5]}; download it again"
        )
    names = {k: mapped(code_of[k], table, path, drop_unmapped=drop_unmapped) for k in present}
    return ObjectLabels(ids, {k: name for k, name in names.items() if name is not None})
