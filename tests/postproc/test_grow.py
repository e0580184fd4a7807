from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histocerb.core.tasks import CERBERUS
from histocerb.postproc.grow import element, label_objects, reach_px, unit_mask
from histocerb.postproc.maps import TaskMaps

GLAND, LUMEN = CERBERUS.task("gland").postproc, CERBERUS.task("lumen").postproc
SMALL = replace(GLAND, min_area_px=4)


def maps_of(*rows, contour=()):
    inside = np.array([[255 if c == "#" else 0 for c in row] for row in rows], np.uint8)
    edge = np.zeros_like(inside)
    for row, column in contour:
        edge[row, column] = 128
    return TaskMaps(inside, edge)


@pytest.mark.parametrize(("params", "side"), [(GLAND, 5), (LUMEN, 2), (replace(GLAND, element_px=3), 1)])
def test_the_ellipse_shrinks_with_the_resolution(params, side):
    assert element(params).shape == (side, side)


def test_the_threshold_is_sharp_and_contours_cut():
    inside = np.array([[140, 141, 141, 141]], np.uint8)
    maps = TaskMaps(inside, np.array([[0, 0, 127, 128]], np.uint8))
    mask = unit_mask(maps, replace(GLAND, element_px=1))
    assert mask.tolist() == [[False, True, True, False]]


def test_contested_pixels_go_to_the_nearest_and_then_to_the_earlier_seed():
    labels, _ = label_objects(maps_of("##...##", "##...##"), SMALL)
    assert labels[0].tolist() == [1, 1, 1, 1, 2, 2, 2]
    labels, _ = label_objects(maps_of("##..##", "##..##"), SMALL)
    assert labels[0].tolist() == [1, 1, 1, 2, 2, 2]


def necked(*values):
    """Two rows of bytes."""
    return TaskMaps(np.array([values] * 2, np.uint8), np.zeros((2, len(values)), np.uint8))


def test_a_seed_of_several_surer_parts_is_divided_where_inside_is_least_sure():
    params = replace(SMALL, element_px=1, downsample=1.0, split_thresholds=(0.8,), split_px=4)
    neck = necked(255, 255, 180, 150, 160, 255, 255)
    labels, anchors = label_objects(neck, params)
    assert labels[0].tolist() == [1, 1, 1, 1, 2, 2, 2]
    assert anchors.tolist() == [0, 4]
    for whole in (replace(params, split_thresholds=()), replace(params, split_px=5)):
        assert label_objects(neck, whole)[0].max() == 1
    labels, _ = label_objects(necked(180, 180, 180, 0, 255, 255, 150, 150, 255, 255), params)
    assert labels[0].tolist() == [1, 1, 1, 0, 2, 2, 2, 3, 3, 3]


def test_an_even_ellipse_grows_down_and_to_the_right():
    labels, _ = label_objects(maps_of("....", ".##.", ".##.", "...."), replace(LUMEN, min_area_px=4))
    assert labels.tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 0]]


def test_growth_takes_small_components_and_never_another_seed():
    labels, _ = label_objects(maps_of("##.#.##", "##...##"), replace(SMALL, min_area_px=12))
    assert labels.max() == 2
    assert labels[0, 3] > 0
    assert (labels[:, :2] == 1).all()
    assert (labels[:, 5:] == 2).all()


def test_the_container_cuts_an_object_into_pieces_of_their_own():
    maps = maps_of("########", "########")
    container = np.ones((2, 8), bool)
    container[:, [3, 4, 6]] = False
    labels, anchors = label_objects(replace(maps, container=container), replace(SMALL, min_area_px=8))
    assert labels[0].tolist() == [1, 1, 1, 0, 0, 2, 0, 3]
    assert anchors.tolist() == [0, 0, 0]
    labels, _ = label_objects(replace(maps, container=container), replace(SMALL, min_area_px=12))
    assert labels[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("params", [GLAND, LUMEN])
def test_nothing_beyond_the_reach_decides_about_a_unit(params):
    rng = np.random.default_rng(3)
    inside = ((rng.random((60, 60)) < 0.02) * 255).astype(np.uint8)
    reach = reach_px(params)
    whole = unit_mask(TaskMaps(inside, np.zeros_like(inside)), params)
    part = np.ascontiguousarray(inside[20:40, 20:40])
    cut = unit_mask(TaskMaps(part, np.zeros_like(part)), params)
    inner = slice(reach, 20 - reach)
    np.testing.assert_array_equal(cut[inner, inner], whole[20:40, 20:40][inner, inner])
