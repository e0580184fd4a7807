from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from shapely import Polygon

from histocerb.postproc.components import largest_pieces
from histocerb.postproc.outlines import trace


def signed_area(ring):
    following = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum()) / 2


def test_a_square_with_a_hole():
    labels = np.zeros((5, 6), np.int32)
    labels[1:4, 2:5] = 1
    labels[2, 3] = 0
    exterior, hole = trace(labels, 1).rings(0)
    assert {tuple(p) for p in exterior} == {(2, 1), (5, 1), (5, 4), (2, 4)}
    assert {tuple(p) for p in hole} == {(3, 2), (4, 2), (4, 3), (3, 3)}
    assert (signed_area(exterior), signed_area(hole)) == (9, -1)


def test_a_corner_contact_closes_a_hole():
    labels = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], np.int32)
    exterior, hole = trace(labels, 1).rings(0)
    assert (signed_area(exterior), signed_area(hole)) == (8, -1)
    assert len(exterior) == 6


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=16), elements=st.integers(0, 3)),
    st.integers(1, 2),
)
def test_polygons_are_valid_and_paint_the_labels_again(values, scale):
    labels, origin, _ = largest_pieces(values.repeat(scale, 0).repeat(scale, 1), 3)
    outlines = trace(labels, len(origin))
    numbers = np.arange(1, len(origin) + 1, dtype=np.int32)
    np.testing.assert_array_equal(outlines.paint(labels.shape, numbers), labels)
    for k in range(len(outlines)):
        exterior, *holes = outlines.rings(k)
        polygon = Polygon(exterior, holes)
        assert polygon.is_valid
        assert polygon.area == (labels == k + 1).sum()
        assert signed_area(exterior) > 0
        assert all(signed_area(hole) < 0 for hole in holes)
        for ring in (exterior, *holes):
            steps = np.roll(ring, -1, axis=0) - ring
            assert ((steps == 0).sum(axis=1) == 1).all()
            assert ((steps != 0) != (np.roll(steps, 1, axis=0) != 0)).all()
