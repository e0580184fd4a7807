from __future__ import annotations

import numpy as np
import reference
from adversarial import cases
from hypothesis import given, settings

from histocerb.postproc.components import largest_pieces
from histocerb.postproc.holes import enclosures, fill_holes


def picture(*rows):
    return np.array([[int(c) if c != "." else 0 for c in row] for row in rows], np.int32)


def test_a_gap_goes_to_the_innermost_object():
    labels = picture("1111111", "1.....1", "1.222.1", "1.2.2.1", "1.222.1", "1.....1", "1111111")
    fill_holes(labels)
    assert labels[3, 3] == 2
    assert labels[1, 1] == labels[5, 3] == 1


def test_diagonal_contact_closes_a_hole_but_the_border_of_the_image_does_not():
    closed = picture(".11", "1.1", "111")
    fill_holes(closed)
    assert closed[1, 1] == 1
    opened = picture("1.1", "111")
    fill_holes(opened)
    assert opened[0, 1] == 0


def test_a_gap_between_two_objects_stays_open():
    labels = picture("1122", "1..2", "1122")
    fill_holes(labels)
    assert (labels[1, 1:3] == 0).all()


def test_a_gap_that_does_not_touch_the_object_around_it_stays_open():
    labels = picture("1111111", "1122331", "12...31", "1223331", "1111111")
    fill_holes(labels)
    assert (labels[2, 2:5] == 0).all()


@settings(max_examples=80, deadline=None)
@given(cases())
def test_the_encloser_is_the_object_of_smallest_filled_area(case):
    family, seed, shape = case
    rng = np.random.default_rng(seed)
    blocks = rng.integers(1, 5, (shape[0] // 3 + 1, shape[1] // 3 + 1)).repeat(3, 0).repeat(3, 1)
    mixed = np.where(family(rng, shape)[0] > 127, blocks[: shape[0], : shape[1]], 0).astype(np.int32)
    labels, origin, _ = largest_pieces(mixed, 4)
    found = enclosures(labels)
    masks = [labels == k for k in range(1, len(origin) + 1)]
    expected = np.where(labels > 0, 0, reference.innermost(masks) + 1) if masks else np.zeros(shape)
    if found is None:
        assert not expected.any()
    else:
        np.testing.assert_array_equal(found.encloser[found.nodes], expected)
