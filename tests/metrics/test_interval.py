import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    first, again, other = (bootstrap_interval(values, range(30), seed) for seed in (7, 7, 8))
    assert first == again != other


def test_close_to_the_normal_interval():
    values = np.random.default_rng(2).normal(5, 2, 400)
    low, high = bootstrap_interval(values, range(400), 0)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_wider_at_a_higher_level():
    values = np.arange(20.0)
    narrow, wide = (bootstrap_interval(values, range(20), 0, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_summary_skips_nan():
    summary = summarise([1.0, math.nan, 3.0], "abc")
    assert (summary.n, summary.mean, summary.sd) == (2, 2.0, pytest.approx(math.sqrt(2)))
    assert 1 <= summary.low <= summary.high <= 3


def test_nothing_and_one():
    nothing = summarise([math.nan], "a")
    assert nothing.n == 0
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.low)
    one = summarise([0.5], "a")
    assert (one.n, one.mean) == (1, 0.5)
    assert math.isnan(one.sd)


def test_one_patient_has_no_interval():
    """However many images: none of them says what another patient would change."""
    known = summarise([0.1, 0.2, 0.9, math.nan], "aaab")
    pooled = summarise_together(0.4, "aaa", lambda weight: weight @ np.ones(3))
    assert (known.n, pooled.n) == (3, 3)
    assert all(math.isnan(end) for found in (known, pooled) for end in (found.low, found.high))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.integers(2, 5), st.integers(0, 9))
def test_copies_of_images_change_nothing(values, copies, seed):
    """Images of a patient that are all alike say no more than one of them."""
    alone = bootstrap_interval(values, range(len(values)), seed, resamples=50)
    patients = np.repeat(np.arange(len(values)), copies)
    again = bootstrap_interval(np.repeat(values, copies), patients, seed, resamples=50)
    assert again == pytest.approx(alone)


def test_patients_with_the_same_mean_have_an_interval_if_their_images_differ():
    """Drawing patients alone would give a point: two that happen to agree would seem to prove everything."""
    low, high = bootstrap_interval([0.0, 1.0, 0.0, 1.0], "aabb", 0)
    assert low <= 0.25
    assert high >= 0.75


def test_equals_patients_and_their_images_drawn_one_by_one():
    """Patients with many images weigh more."""
    rng = np.random.default_rng(6)
    patients = [name for name in "abcdefghij" for _ in range(rng.integers(1, 6))]
    values = rng.normal(size=len(patients)) + np.array([ord(name) % 3 for name in patients])
    of_patient = {name: values[[i for i, p in enumerate(patients) if p == name]] for name in patients}
    names = list(of_patient)
    slow = [
        np.concatenate([rng.choice(v, len(v)) for v in (of_patient[n] for n in rng.choice(names, 10))]).mean()
        for _ in range(4000)
    ]
    found = bootstrap_interval(values, patients, 0, resamples=4000)
    assert found == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.06)
    by_image = bootstrap_interval(values, range(len(values)), 0)
    assert found[1] - found[0] > by_image[1] - by_image[0]


def test_a_mean_of_all_together_is_the_mean_of_the_images():
    values = np.random.default_rng(4).normal(size=40)
    together = summarise_together(values.mean(), range(40), lambda weight: weight @ values / 40, 3, 2000)
    alone = summarise(values, range(40), 3)
    assert (together.n, together.mean) == (40, alone.mean)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))


def test_images_are_drawn_alike_in_chunks(monkeypatch):
    """Every resample has n images, each as probable as the other, however many are held at a time."""
    drawn = []
    summarise_together(0.0, range(7), lambda weight: drawn.append(weight) or np.zeros(len(weight)), 1, 500)
    monkeypatch.setattr(interval, "_CHUNK", 70)
    chunks = []
    summarise_together(0.0, range(7), lambda weight: chunks.append(weight) or np.zeros(len(weight)), 1, 500)
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
    rare = summarise_together(7.0, "abc", lambda weight: np.where(weight[:, 0] > 0, 7.0, math.nan))
    assert (rare.n, rare.mean, rare.low, rare.high) == (3, 7, 7, 7)
    never = summarise_together(math.nan, "abc", lambda weight: np.full(len(weight), math.nan))
    assert never.n == 3
    assert math.isnan(never.low)
    assert summarise_together(math.nan, "", lambda weight: np.ones(len(weight))).n == 0
