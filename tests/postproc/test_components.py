from __future__ import annotations

import numpy as np
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from histocerb.postproc.components import (
    bounding_boxes,
    first_pixels,
    large_components,
    largest_pieces,
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
    found, origin = largest_pieces(values, 3)
    np.testing.assert_array_equal(found, reference.to_labels(list(pieces.values()), values.shape))
    assert all((pieces[int(k)] == (found == n)).all() for n, k in enumerate(origin, 1))


@settings(max_examples=50, deadline=None)
@given(label_maps, st.integers(1, 6))
def test_large_components_with_their_boxes_and_first_pixels(values, least):
    labels, count = large_components(values > 1, least)
    expected = reference.large(values > 1, least)
    assert count == len(expected)
    assert first_pixels(labels, count).tolist() == [np.flatnonzero(one)[0] for one in expected]
    for one, (left, top, right, bottom) in zip(expected, bounding_boxes(labels, count)[1:], strict=True):
        rows, columns = np.nonzero(one)
        assert (left, top) == (columns.min(), rows.min())
        assert (right, bottom) == (columns.max() + 1, rows.max() + 1)


def test_an_empty_image_has_no_regions():
    labels, count = regions(np.zeros((0, 5), np.uint8))
    assert (labels.shape, count) == ((0, 5), 0)
