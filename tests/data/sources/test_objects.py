from pathlib import Path

import numpy as np
import pytest

from histocerb.core.errors import DataError
from histocerb.data.class_names import CONSEP_MERGED
from histocerb.data.sources.objects import typed

PATH = Path("labels.mat")
IDS = np.array([[0, 4, 4], [70_000, 0, 9]], np.int32)


def test_names_of_ids_that_have_pixels() -> None:
    labels = typed(IDS, {4: 2, 9: 1, 70_000: 3, 5: 99}, CONSEP_MERGED, PATH, drop_unmapped=False)
    assert labels.ids is IDS
    assert labels.classes == {4: "inflammatory", 70_000: "epithelial"}


def test_codes_that_are_missing_or_unknown() -> None:
    with pytest.raises(DataError, match=r"labels\.mat: .*each of 3 objects, found none for ids \[9, 70000\]"):
        typed(IDS, {4: 2}, CONSEP_MERGED, PATH, drop_unmapped=True)
    codes = {4: 2, 9: 8, 70_000: 3}
    with pytest.raises(DataError, match=r"labels\.mat: expected classes 1, 2, 3, 4, found 8"):
        typed(IDS, codes, CONSEP_MERGED, PATH, drop_unmapped=False)
    assert 9 not in typed(IDS, codes, CONSEP_MERGED, PATH, drop_unmapped=True).classes
