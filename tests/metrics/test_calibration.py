import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.metrics.calibration import ece_per_class, reliability

EVENTS = st.lists(st.tuples(st.integers(0, 100).map(lambda p: p / 100), st.booleans()), max_size=30)


def arrays(events):
    return np.array([p for p, _ in events], float), np.array([y for _, y in events], bool)


def naive_bins(events, bins):
    """Probability and outcome of the events of each bin; a bin has its upper end, the first has 0 as well."""
    found = [[] for _ in range(bins)]
    for p, y in events:
        found[next(b for b in range(bins) if p <= (b + 1) / bins)].append((p, y))
    return found


@settings(max_examples=50, deadline=None)
@given(EVENTS, st.sampled_from([1, 4, 5, 8]))
def test_equals_one_list_per_bin(events, bins):
    found, expected = reliability(*arrays(events), bins), naive_bins(events, bins)
    gaps = [abs(sum(p - y for p, y in one)) for one in expected]
    assert found.count.tolist() == [len(one) for one in expected]
    accuracy = [sum(y for _, y in one) / len(one) if one else math.nan for one in expected]
    assert found.accuracy == pytest.approx(accuracy, nan_ok=True)
    confidence = [sum(p for p, _ in one) / len(one) if one else math.nan for one in expected]
    assert found.confidence == pytest.approx(confidence, nan_ok=True)
    assert found.ece == pytest.approx(sum(gaps) / len(events) if events else math.nan, nan_ok=True)
    worst = [gap / len(one) for gap, one in zip(gaps, expected, strict=True) if one]
    assert found.mce == pytest.approx(max(worst, default=math.nan), nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(EVENTS, EVENTS)
def test_pooling_equals_all_at_once(first, second):
    pooled = reliability(*arrays(first)) + reliability(*arrays(second))
    at_once = reliability(*arrays(first + second))
    assert pooled.count.tolist() == at_once.count.tolist()
    assert pooled.ece == pytest.approx(at_once.ece, nan_ok=True)


def test_perfectly_calibrated_and_overconfident():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    assert reliability(p, rng.random(p.size) < p).ece < 0.01
    assert reliability(np.full(10, 0.9), np.arange(10) < 6).ece == pytest.approx(0.3)


def test_shape_of_maps_and_rounding_above_one():
    found = reliability(np.array([[0.5, np.float32(1.000001)]], np.float32), np.array([[True, True]]), 2)
    assert found.count.tolist() == [1, 1]
    assert found.edges.tolist() == [0, 0.5, 1]


def test_each_class():
    truth = np.array([0, 1, 1])
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    scores = ece_per_class(truth, probabilities, ["a", "b"])
    assert scores.values[0] == pytest.approx(reliability(probabilities[:, 0], truth == 0).ece)
    assert scores.values[1] == pytest.approx(reliability(probabilities[:, 1], truth == 1).ece)


def test_nothing():
    nothing = reliability(np.zeros(0), np.zeros(0, np.bool_))
    assert math.isnan(nothing.ece)
    assert math.isnan(nothing.mce)
    assert math.isnan(ece_per_class(np.zeros(0, int), np.zeros((0, 2)), ["a", "b"]).mean)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"found \(2,\) and \(1,\)"):
        reliability(np.array([0.1, 0.2]), np.array([True]))
    with pytest.raises(ValueError, match=r"within 0 and 1, found -0\.5 to 0\.2"):
        reliability(np.array([-0.5, 0.2]), np.array([True, True]))
    with pytest.raises(ValueError, match="within 0 and 1"):
        reliability(np.array([math.nan]), np.array([True]))
    with pytest.raises(ValueError, match="found 0"):
        reliability(np.array([0.1]), np.array([True]), 0)
