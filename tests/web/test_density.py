"""Dots: which objects they stand for."""

import numpy as np
import pytest
from drawn import HEIGHT, WIDTH, unsure_nuclei, write_result

from histocerb.core.tasks import CERBERUS
from histocerb.web.density import Dotted, density_tile
from histocerb.web.index import read_index


@pytest.mark.parametrize("classes", [None, [], [3]])
def test_objects_without_a_class_are_dots_whatever_classes_are(classes, slide_file, tmp_path):
    found = unsure_nuclei()
    folder = write_result(tmp_path / "one", slide_file, found_nuclei=found)
    index = read_index(folder / "objects.parquet", CERBERUS, (WIDTH, HEIGHT))
    tile = density_tile(index, Dotted(index.kind_code("nucleus"), classes), (3, 0, 0), radius_px=8)
    x, y = (np.floor(axis / 8).astype(int) for axis in found.places[:, :2].T)
    drawn = (found.codes < 0) | (classes is None) | np.isin(found.codes, classes or [])
    assert 0 < np.mean(found.codes < 0) < 1
    assert np.array_equal(tile[y, x, 3] > 200, drawn)
