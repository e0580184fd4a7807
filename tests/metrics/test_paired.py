import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from histocerb.metrics.paired import holm, paired, signed_rank

NAN, INF = math.nan, math.inf


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_few_images_equal_all_signs_tried_one_by_one(values):
    nonzero = [value for value in values if value]
    ranks = stats.rankdata(np.abs(nonzero)) if nonzero else []
    found = sum(rank for rank, value in zip(ranks, nonzero, strict=True) if value > 0)
    sums = [0.0]
    for rank in ranks:
        sums = [total + add for total in sums for add in (0, rank)]
    tails = [sum(total >= found for total in sums), sum(total <= found for total in sums)]
    expected = min(1.0, 2 * min(tails) / len(sums))
    assert signed_rank(np.array(values, float)) == pytest.approx(expected)


@pytest.mark.parametrize("n", [10, 30, 80])
def test_equals_scipy_without_ties(n):
    difference = np.random.default_rng(n).normal(0.3, 1, n)
    method = "exact" if n <= 50 else "approx"
    assert signed_rank(difference) == pytest.approx(stats.wilcoxon(difference, method=method).pvalue)


def test_ties_of_many_images():
    difference = np.repeat([1.0, 1.0, -1.0], 20)
    assert 0.005 < signed_rank(difference) < 0.02
    assert signed_rank(np.r_[difference, np.zeros(30)]) == signed_rank(difference)


def test_difference_interval_and_what_is_left_out():
    found = paired([0.1, 0.2, NAN, 0.4, INF, NAN], [0.3, 0.5, 0.2, 0.4, 1.0, NAN], "abcdef")
    assert (found.n, found.patients, found.left_out) == (3, 3, 2)
    assert found.difference == pytest.approx((0.2 + 0.3 + 0) / 3)
    assert found.low <= found.difference <= found.high
    assert found.p == 0.5
    once, again = (paired([0.1, 0.2], [0.3, 0.5], "ab") for _ in range(2))
    assert once == again


def test_swapping_the_models_turns_the_sign():
    rng = np.random.default_rng(3)
    a, b = rng.random(20), rng.random(20)
    there, back = paired(a, b, range(20)), paired(b, a, range(20))
    assert (there.difference, there.p) == pytest.approx((-back.difference, back.p))
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.02)


def test_nothing_to_compare():
    found = paired([NAN], [0.5], "a")
    assert (found.n, found.patients, found.left_out) == (0, 0, 1)
    assert math.isnan(found.p)
    assert paired([0.5, 0.5], [0.5, 0.5], "ab").p == 1
    with pytest.raises(ValueError, match="found 1, 2 and 1"):
        paired([0.5], [0.5, 0.6], "a")
    with pytest.raises(ValueError, match="found 1, 1 and 2"):
        paired([0.5], [0.6], "ab")


def test_images_of_a_patient_count_once():
    """Ten patients better in all of their images are no more proof with a hundred images than with ten."""
    rng = np.random.default_rng(5)
    a, gain = rng.random(10), rng.random(10)
    once = paired(a, a + gain, range(10))
    often = paired(np.repeat(a, 10), np.repeat(a + gain, 10), np.repeat(np.arange(10), 10))
    assert (often.n, often.patients) == (100, 10)
    assert often.p == once.p == pytest.approx(2 / 2**10)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_one_patient_proves_nothing():
    found = paired([0.1, 0.2, 0.3], [0.5, 0.6, 0.8], "aaa")
    assert found.p == 1
    assert math.isnan(found.low)


def test_the_rank_sum_tells_whom_the_test_favours():
    """Nine patients gain; one that loses much, or loses a little in many images, turns the mean alone."""
    gain = [1.0, 2, 3, 4, 5, 6, 7, 8, 9, -90]
    much = paired(np.zeros(10), gain, range(10))
    assert (much.difference, much.rank_sum) == (-4.5, 45 - 10)
    assert paired(gain, np.zeros(10), range(10)).rank_sum == 10 - 45
    often = paired(np.zeros(30), [*gain[:9], *[-2.5] * 21], [*range(9), *[9] * 21])
    assert (often.difference, often.rank_sum) == (-0.25, 52 - 3)
    assert paired([0.5, 0.5], [0.5, 0.5], "ab").rank_sum == 0
    assert math.isnan(paired([NAN], [0.5], "a").rank_sum)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    some = holm([0.02, NAN, 0.03])
    assert some[0] == pytest.approx(0.04)
    assert math.isnan(some[1])
    assert holm([]) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_below_bonferroni(values):
    found = holm(values)
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 0).all()
    assert all(p <= q <= min(1, len(values) * p) + 1e-12 for p, q in zip(values, found, strict=True))
