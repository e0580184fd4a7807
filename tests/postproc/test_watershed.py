from __future__ import annotations

from dataclasses import replace

import numpy as np
from adversarial import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import watershed

from histocerb.core.tasks import CERBERUS
from histocerb.postproc.components import components
from histocerb.postproc.flood import flooded
from histocerb.postproc.maps import TaskMaps
from histocerb.postproc.watershed import label_objects

NUCLEI = CERBERUS.task("nuclei").postproc


@settings(max_examples=50, deadline=None)
@given(cases(((1, 40), (23, 31), (40, 40))), st.sampled_from([0.02, 0.1, 0.4]))
def test_flooding_equals_scikit_image(case, density):
    """Scikit-image leaves the order of equal marker pixels open, so that these have a value each."""
    family, seed, shape = case
    rng = np.random.default_rng(seed)
    inside, within = family(rng, shape)[0], family(rng, shape)[0] > 80
    chosen = np.flatnonzero(within & (rng.random(shape) < density))[:256]
    inside.ravel()[chosen] = rng.permutation(256)[: len(chosen)]
    seeds = np.zeros(shape, bool)
    seeds.ravel()[chosen] = True
    markers, count = components(seeds)
    expected = watershed(-inside.astype(int), markers, mask=within) if count else np.zeros(shape)
    parts, number = components(within)
    np.testing.assert_array_equal(flooded(markers.copy(), parts, inside, number), expected)


def discs(*centres, shape=(24, 40), radius=7.0):
    y, x = np.indices(shape)
    depth = np.max([radius - np.hypot(y - row, x - column) for row, column in centres], axis=0)
    inside = np.clip(depth * 60 + 30, 0, 255).astype(np.uint8)
    contour = np.where((depth > -1) & (depth < 2), 255 - inside, 0).astype(np.uint8)
    return inside, contour


def test_two_touching_nuclei_share_the_contour_between_them():
    inside, contour = discs((11.5, 12), (11.5, 27))
    labels, _ = label_objects(TaskMaps(inside, contour), NUCLEI)
    assert labels.max() == 2
    np.testing.assert_array_equal(labels[:, :20] == 1, (labels == 2)[:, ::-1][:, :20])
    assert (labels[11, 6:34] > 0).all()


def test_a_nucleus_on_the_border_is_not_eroded_there():
    inside, contour = discs((0, 20))
    labels, _ = label_objects(TaskMaps(inside, contour), NUCLEI)
    assert labels[0, 20] == 1
    assert (labels[0] > 0).sum() == (labels[1] > 0).sum()


def test_a_ring_of_sure_pixels_is_one_nucleus_with_its_centre():
    inside, contour = discs((11.5, 19.5))
    inside[10:14, 18:22], contour[10:14, 18:22] = 60, 190
    labels, _ = label_objects(TaskMaps(inside, contour), NUCLEI)
    assert labels.max() == 1
    assert (labels[10:14, 18:22] == 1).all()


def ring_around_a_disc(gap_px):
    """A ring of sure pixels, in its hole a sure disc with a broad contour, `gap_px` of background between."""
    y, x = np.indices((41, 41))
    radius = np.hypot(y - 20, x - 20)
    inside = np.where(((radius > 14) & (radius < 18)) | (radius < 4), 200, 0).astype(np.uint8)
    contour = np.where((radius >= 4) & (radius <= 14 - gap_px), 200, 0).astype(np.uint8)
    return label_objects(TaskMaps(inside, contour), NUCLEI)[0], radius


def test_what_lies_between_a_marker_and_one_in_its_hole_belongs_to_the_outer_one():
    labels, radius = ring_around_a_disc(gap_px=0)
    np.testing.assert_array_equal(labels == 2, radius < 4)
    assert (labels[(radius >= 4) & (radius < 16)] == 1).all()


def test_a_marker_does_not_fill_pixels_of_another_unit_in_its_hole():
    labels, radius = ring_around_a_disc(gap_px=5)
    assert (labels[radius < 7] == 2).all()
    assert (labels[(radius > 9.5) & (radius < 14)] == 0).all()


def test_small_markers_and_small_masks_are_dropped():
    inside = np.zeros((12, 24), np.uint8)
    inside[3:8, 3:8] = 100
    inside[5, 4:7] = 200
    inside[4:7, 14:17] = 200
    contour = np.zeros_like(inside)
    contour[3:8, 3:8] = 50
    assert label_objects(TaskMaps(inside, contour), NUCLEI)[0].max() == 0


def test_a_marker_of_several_surer_parts_is_divided_threshold_after_threshold():
    inside = np.array([[0, *[140] * 2, *[220] * 3, 150, *[250] * 3, 210, *[240] * 3, 140, 0]] * 4, np.uint8)
    maps = TaskMaps(inside, 255 - inside)  # inside + contour is set everywhere
    assert label_objects(maps, NUCLEI)[0].max() == 1
    two = replace(NUCLEI, split_thresholds=(0.7,), split_px=12)
    assert label_objects(maps, two)[0][0].tolist() == [*[1] * 6, *[2] * 10]
    three = replace(two, split_thresholds=(0.7, 0.9))
    assert label_objects(maps, three)[0][0].tolist() == [*[1] * 6, *[2] * 5, *[3] * 5]
    assert label_objects(maps, replace(three, split_px=13))[0].max() == 1
