from __future__ import annotations

import numpy as np
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from histocerb.postproc.components import (
    large_components,
    largest_pieces,
    reached,
    regions,
)

label_maps = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 3))


@settings(max_examples=80, deadline=None)
@given(label_maps, st.booleans())
def test_regions_are_the_components_of_each_value_in_raster_order(values, zero_too):
    chosen = [k for k in np.unique(values) if k or zero_too]
    expected = reference.to_labels(
        [one for k in chosen for one in reference.components(values == k)], values.shape
    )
    found, count = regions(values, zero_too)
    np.testing.assert_array_equal(found, expected)
    assert count == expected.max()


@settings(max_examples=60, deadline=None)
@given(label_maps)
def test_largest_pieces(values):
    present = [int(k) for k in np.unique(values[values > 0])]
    pieces = {k: reference.largest_piece(values == k) for k in present}
    found, origin, first = largest_pieces(values, 3)
    assert first.tolist() == [np.flatnonzero(found == n)[0] for n in range(1, len(origin) + 1)]
    np.testing.assert_array_equal(found, reference.to_labels(list(pieces.values()), values.shape))
    assert all((pieces[int(k)] == (found == n)).all() for n, k in enumerate(origin, 1))


@settings(max_examples=50, deadline=None)
@given(label_maps, st.integers(1, 6))
def test_large_components_with_their_first_pixels(values, least):
    labels, first = large_components(values > 1, least)
    expected = reference.large(values > 1, least)
    np.testing.assert_array_equal(labels, reference.to_labels(expected, values.shape))
    assert first.tolist() == [np.flatnonzero(one)[0] for one in expected]


@settings(max_examples=50, deadline=None)
@given(label_maps, st.randoms(use_true_random=False))
def test_reached_components_with_their_boxes(values, random):
    mask = values > 0
    pixels = np.flatnonzero(mask).tolist()
    seeds = random.sample(pixels, min(len(pixels), 4))
    expected = {}
    for seed in seeds:
        for one in reference.components(mask):
            if one.ravel()[seed]:
                expected.setdefault(int(np.flatnonzero(one)[0]), one)
    labels, boxes = reached(mask, np.array(seeds, np.int64))
    assert labels.max(initial=0) == len(boxes) == len(expected)
    for number, (one, box) in enumerate(zip(expected.values(), boxes.tolist(), strict=True), start=1):
        np.testing.assert_array_equal(labels == number, one)
        rows, columns = np.nonzero(one)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_an_empty_image_has_no_regions():
    labels, count = regions(np.zeros((0, 5), np.uint8))
    assert (labels.shape, count) == ((0, 5), 0)
