import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.metrics.counts import count_table, r2_of_counts

TABLE = st.lists(st.tuples(*[st.integers(0, 9)] * 4), max_size=8)


def naive_r2(truth, pred):
    if len(set(truth)) < 2:
        return math.nan
    mean = sum(truth) / len(truth)
    missed = sum((t - p) ** 2 for t, p in zip(truth, pred, strict=True))
    return 1 - missed / sum((t - mean) ** 2 for t in truth)


@settings(max_examples=80, deadline=None)
@given(TABLE)
def test_r2_equals_the_definition(rows):
    table = np.array(rows, int).reshape(-1, 4)
    found = r2_of_counts(table[:, :2], table[:, 2:], ["a", "b"])
    expected = [naive_r2([r[c] for r in rows], [r[c + 2] for r in rows]) for c in (0, 1)]
    assert found.values == pytest.approx(expected, nan_ok=True)


def test_perfect_mean_and_worse():
    truth = np.array([[1], [2], [6]])
    assert r2_of_counts(truth, truth, ["a"]).mean == 1
    assert r2_of_counts(truth, np.full((3, 1), 3.0), ["a"]).mean == 0
    assert r2_of_counts(truth, truth[::-1], ["a"]).mean < 0


def test_class_without_spread_does_not_count():
    truth = np.array([[1, 0], [3, 0]])
    assert r2_of_counts(truth, np.array([[1, 5], [3, 0]]), ["a", "b"]).mean == 1
    assert math.isnan(r2_of_counts(truth[:1], truth[:1], ["a", "b"]).mean)
    assert math.isnan(r2_of_counts(truth[:0], truth[:0], ["a", "b"]).mean)


def test_table():
    images = [{1: "a", 70_000: "a", 9: "other"}, {}, {2: "b"}]
    assert count_table(images, ["a", "b"]).tolist() == [[2, 0], [0, 0], [0, 1]]
    assert count_table([], ["a", "b"]).shape == (0, 2)


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"N x 2 counts, found \(3, 1\) and \(3, 2\)"):
        r2_of_counts(np.zeros((3, 1)), np.zeros((3, 2)), ["a", "b"])
