import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.metrics.places import near, overlapping, within

COORDINATE = st.integers(0, 12)
BOX = st.tuples(COORDINATE, COORDINATE, st.integers(0, 5), st.integers(0, 5)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
BOXES = st.lists(BOX, max_size=7).map(lambda rows: np.array(rows, np.float32).reshape(-1, 4))


def centre(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def distance(a, b):
    (ax, ay), (bx, by) = centre(a), centre(b)
    return float(np.hypot(ax - bx, ay - by))


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union else 0.0


def is_inside(truth, pred):
    x, y = centre(pred)
    return truth[0] <= x <= truth[2] and truth[1] <= y <= truth[3]


def naive(truth, pred, qualifies, closeness):
    return [
        (t, p, pytest.approx(closeness(a, b)))
        for t, a in enumerate(truth.astype(float))
        for p, b in enumerate(pred.astype(float))
        if qualifies(a, b)
    ]


def rows(pairs):
    return list(zip(pairs.truth.tolist(), pairs.pred.tolist(), pairs.closeness.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(BOXES, BOXES)
def test_equal_one_comparison_per_pair(truth, pred):
    def minus_distance(a, b):
        return -distance(a, b)

    assert rows(near(truth, pred, 3)) == naive(truth, pred, lambda a, b: distance(a, b) <= 3, minus_distance)
    assert rows(within(truth, pred)) == naive(truth, pred, is_inside, minus_distance)
    enough = naive(truth, pred, lambda a, b: iou(a, b) >= 0.3, iou)
    assert rows(overlapping(truth, pred, 0.3)) == enough


def test_a_long_box_finds_what_is_far_from_its_centre():
    long, small = np.array([[0, 0, 1000, 2]]), np.array([[990, 0, 1000, 2]])
    assert len(within(long, small).truth) == 1
    assert overlapping(long, small, 0.01).closeness.tolist() == [0.01]


def test_nothing():
    nothing, one = np.zeros((0, 4)), np.array([[0, 0, 2, 2]])
    for truth, pred in ((nothing, one), (one, nothing), (nothing, nothing)):
        assert (
            rows(near(truth, pred, 5)) == rows(within(truth, pred)) == rows(overlapping(truth, pred, 1)) == []
        )


def test_wrong_input():
    box = np.array([[0, 0, 2, 2]])
    with pytest.raises(ValueError, match=r"N x 4, found an array of shape \(1, 2\)"):
        near(box[:, :2], box, 1)
    with pytest.raises(ValueError, match="turned over"):
        within(box, box[:, ::-1])
    with pytest.raises(ValueError, match="above 0 and at most 1, found 0"):
        overlapping(box, box, 0)
    with pytest.raises(ValueError, match="found -1"):
        near(box, box, -1)
