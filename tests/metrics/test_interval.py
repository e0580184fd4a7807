import math

import numpy as np
import pytest

from histocerb.metrics import interval
from histocerb.metrics.interval import (
    bootstrap_interval,
    defined_mean,
    ratio,
    summarise,
    summarise_together,
)


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


def test_a_mean_of_all_together_is_the_mean_of_the_images():
    values = np.random.default_rng(4).normal(size=40)
    together = summarise_together(values.mean(), 40, lambda weight: weight @ values / 40, 3, 2000)
    alone = summarise(values, 3)
    assert (together.n, together.mean) == (40, alone.mean)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))


def test_images_are_drawn_alike_in_chunks(monkeypatch):
    """Every resample has n images, each as probable as the other, however many are held at a time."""
    drawn = []
    summarise_together(0.0, 7, lambda weight: drawn.append(weight) or np.zeros(len(weight)), 1, 500)
    monkeypatch.setattr(interval, "_CHUNK", 70)
    chunks = []
    summarise_together(0.0, 7, lambda weight: chunks.append(weight) or np.zeros(len(weight)), 1, 500)
    assert len(chunks) == 50
    for weights in (np.concatenate(drawn), np.concatenate(chunks)):
        assert weights.shape == (500, 7)
        assert (weights.sum(axis=1) == 7).all()
        assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)


def test_ratios_and_means_of_what_is_defined():
    found = ratio([1, 2, 3], [2, 0, 4])
    assert found == pytest.approx([0.5, math.nan, 0.75], nan_ok=True)
    assert defined_mean(found) == 0.625
    assert np.isnan(defined_mean(np.full((2, 3), math.nan))).all()


def test_draws_without_a_measure_are_left_out():
    rare = summarise_together(7.0, 3, lambda weight: np.where(weight[:, 0] > 0, 7.0, math.nan))
    assert (rare.n, rare.mean, rare.low, rare.high) == (3, 7, 7, 7)
    never = summarise_together(math.nan, 3, lambda weight: np.full(len(weight), math.nan))
    assert never.n == 3
    assert math.isnan(never.low)
    assert summarise_together(math.nan, 0, lambda weight: np.ones(len(weight))).n == 0
