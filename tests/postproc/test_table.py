from __future__ import annotations

import numpy as np

from histocerb.core.instances import NO_CLASS
from histocerb.core.tasks import CERBERUS
from histocerb.postproc.maps import TaskMaps
from histocerb.postproc.table import Frame, measure

GLAND, LUMEN = CERBERUS.task("gland"), CERBERUS.task("lumen")


def measured(labels, types=None, task=GLAND, frame=None, inside=None):
    labels = np.array(labels, np.int32)
    inside = np.full(labels.shape, 51, np.uint8) if inside is None else np.array(inside, np.uint8)
    types = None if types is None else np.array(types, np.uint8)
    frame = frame or Frame(labels.shape[1], labels.shape[0])
    return measure(labels, int(labels.max()), TaskMaps(inside, inside, types), task, frame)


def test_a_map_pixel_stands_for_those_image_pixels_that_exist():
    table = measured([[0, 1, 1], [0, 0, 1]], frame=Frame(width=13, height=11, by=2, x=4, y=4))
    assert table.first_px.tolist() == [[8, 10]]
    assert table.area_px.tolist() == [2 * 2 + 1 * 2 + 1 * 1]
    assert table.bbox.tolist() == [[10, 8, 13, 11]]
    assert table.centroid.tolist() == [[(4 * 11 + 3 * 12.5) / 7, (6 * 9 + 1 * 10.5) / 7]]
    image = table.label_image((11, 13))
    assert image.sum() == 7
    assert image[10, 12] == image[8, 10] == 1


def test_the_class_is_the_most_frequent_one_that_is_not_none():
    table = measured([[1, 1, 1, 1, 2, 2, 3, 3, 3]], [[0, 0, 0, 2, 2, 1, 0, 0, 0]])
    assert table.class_code.tolist() == [1, 0, NO_CLASS]
    assert table.class_prob.tolist() == [0.25, 0.5, 0]
    assert table.class_names() == ["surface-epithelium", "gland", None]


def test_objects_without_type_map_have_no_class():
    for table in (measured([[1]]), measured([[1]], task=LUMEN)):
        assert (table.class_code.tolist(), table.class_prob.tolist()) == ([NO_CLASS], [0])


def test_the_score_is_the_mean_probability():
    table = measured([[1, 1, 2]], inside=[[255, 0, 51]])
    np.testing.assert_allclose(table.score, [0.5, 0.2])


def test_no_objects():
    table = measured([[0, 0]])
    assert (len(table), table.kind, table.classes) == (0, "gland", GLAND.classes)
