import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.metrics.classification import (
    average_precision,
    average_precision_per_class,
    confusion,
    f1_per_class,
)

ITEMS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0])), max_size=20)


def naive_ap(truth, score):
    """One threshold per distinct score, from the highest to the lowest."""
    area, recall_before = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        taken = [t for t, s in zip(truth, score, strict=True) if s >= threshold]
        recall = sum(taken) / sum(truth)
        area += (recall - recall_before) * sum(taken) / len(taken)
        recall_before = recall
    return area


@settings(max_examples=80, deadline=None)
@given(ITEMS)
def test_average_precision_equals_one_pass_per_threshold(items):
    truth, score = [t for t, _ in items], [s for _, s in items]
    found = average_precision(np.array(truth, bool), np.array(score))
    if any(truth):
        assert found == pytest.approx(naive_ap(truth, score))
    else:
        assert math.isnan(found)


def test_average_precision_by_hand():
    truth, score = np.array([1, 0, 1], bool), np.array([0.9, 0.8, 0.7])
    assert average_precision(truth, score) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_map_skips_classes_without_positives():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    scores = average_precision_per_class(np.array([0, 1]), probabilities, ["a", "b", "c"])
    assert scores.values == pytest.approx((1.0, 1.0, math.nan), nan_ok=True)
    assert scores.mean == 1.0


def test_confusion_and_f1():
    truth, pred = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    counts = confusion(truth, pred, 3)
    assert counts.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    scores = f1_per_class(counts, ["a", "b", "c"])
    assert scores.values == pytest.approx((2 / 3, 1 / 2, math.nan), nan_ok=True)
    assert scores.mean == pytest.approx(7 / 12)


def test_wrong_codes():
    with pytest.raises(ValueError, match=r"0\.\.1, found 0\.\.2"):
        confusion(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="as many"):
        confusion(np.array([0]), np.array([0, 1]), 2)
    assert confusion(np.zeros(0, int), np.zeros(0, int), 2).sum() == 0
