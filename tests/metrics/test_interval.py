import math

import numpy as np
import pytest

from histocerb.metrics.interval import bootstrap_interval, summarise


def test_same_seed_same_interval():
    values = np.random.default_rng(1).normal(size=30)
    assert bootstrap_interval(values, 7) == bootstrap_interval(values, 7) != bootstrap_interval(values, 8)


def test_close_to_the_normal_interval():
    values = np.random.default_rng(2).normal(5, 2, 400)
    low, high = bootstrap_interval(values, 0)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_wider_at_a_higher_level():
    values = np.arange(20.0)
    narrow, wide = bootstrap_interval(values, 0, level=0.5), bootstrap_interval(values, 0, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_summary_skips_nan():
    summary = summarise([1.0, math.nan, 3.0])
    assert (summary.n, summary.mean, summary.sd) == (2, 2.0, pytest.approx(math.sqrt(2)))
    assert 1 <= summary.low <= summary.high <= 3


def test_nothing_and_one():
    nothing = summarise([math.nan])
    assert nothing.n == 0
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.low)
    one = summarise([0.5])
    assert (one.mean, one.low, one.high) == (0.5, 0.5, 0.5)
    assert math.isnan(one.sd)
