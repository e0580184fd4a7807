"""How often what is drawn: chi-square tests with fixed seeds, so that they always give the same answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from histocerb.data.sampler import BatchMode, BatchPlan, SamplerParams, TaskSampler
from histocerb.data.store import Store

SIGNIFICANCE = 1e-3
"""A share that is off is refused at this level: a true sampler would fail one seed in a thousand, and the
seeds here are those of tests that passed when they were written."""
SOURCES = ("all", "glands", "made", "patches")


def _agree(found: Mapping[str, int], expected: Mapping[str, float]) -> None:
    """The counts are what shares of `expected` (any scale) give by chance."""
    assert found.keys() <= expected.keys()
    names = sorted(expected)
    total, scale = sum(found.values()), sum(expected.values())
    counts = [found.get(name, 0) for name in names]
    result = chisquare(counts, [total * expected[name] / scale for name in names])
    assert result.pvalue > SIGNIFICANCE, dict(zip(names, counts, strict=True))


def _plans(store: Store, params: SamplerParams, steps: int, seed: int = 11) -> list[BatchPlan]:
    sampler = TaskSampler(store, None, params)
    return [sampler.draw(seed, step) for step in range(steps)]


def _tasks(plans: Iterable[BatchPlan]) -> list[str]:
    return [draw.task for plan in plans if not plan.is_patch for draw in plan.draws]


@pytest.mark.parametrize("mode", list(BatchMode))
@pytest.mark.parametrize("share", [0.2, 0.7, 0.9])
def test_super_tasks_come_as_often_as_asked(store: Store, mode: BatchMode, share: float) -> None:
    plans = _plans(store, SamplerParams(1, mode, share), 3000)
    found = Counter("patch" if plan.is_patch else "segmentation" for plan in plans)
    _agree(found, {"segmentation": share, "patch": 1 - share})


def test_super_tasks_follow_no_pattern(store: Store) -> None:
    """A batch's kind says nothing about the next one's (nor its step: even and odd ones are alike)."""
    kinds = np.array([plan.is_patch for plan in _plans(store, SamplerParams(1), 3000)], int)
    for first, second in ((kinds[:-1], kinds[1:]), (kinds, np.arange(len(kinds)) % 2)):
        table = np.zeros((2, 2))
        np.add.at(table, (first, second), 1)
        assert chi2_contingency(table).pvalue > SIGNIFICANCE


def test_tasks_are_equally_likely_and_independent_within_a_mixed_batch(store: Store) -> None:
    plans = _plans(store, SamplerParams(4, segmentation_prob=1.0), 1500)
    _agree(Counter(_tasks(plans)), dict.fromkeys(("nuclei", "gland", "lumen"), 1))
    names = {"nuclei": 0, "gland": 1, "lumen": 2}
    table = np.zeros((3, 3))
    for plan in plans:
        places = [names[draw.task] for draw in plan.draws]
        np.add.at(table, (places[:-1], places[1:]), 1)
    assert chi2_contingency(table).pvalue > SIGNIFICANCE


def test_tasks_are_equally_likely_per_fixed_batch(store: Store) -> None:
    plans = _plans(store, SamplerParams(3, BatchMode.FIXED, 1.0), 1500)
    _agree(Counter(plan.draws[0].task for plan in plans), dict.fromkeys(("nuclei", "gland", "lumen"), 1))
    assert all(len({draw.task for draw in plan.draws}) == 1 for plan in plans)


@pytest.mark.parametrize("mode", list(BatchMode))
@pytest.mark.parametrize("weights", [{}, {"all": 5.0, "made": 0.5}])
def test_samples_come_as_often_as_the_weight_of_their_source(
    store: Store, mode: BatchMode, weights: dict[str, float]
) -> None:
    params = SamplerParams(6, mode, source_weights=weights)
    draws = [draw for plan in _plans(store, params, 1500) for draw in plan.draws]
    for task in ("nuclei", "gland", "lumen", "tissue"):
        found = Counter(store.records[draw.index].name for draw in draws if draw.task == task)
        pool = [
            record
            for record in store.records
            if (record.patch_class is not None if task == "tissue" else record.label(task) is not None)
        ]
        _agree(found, {record.name: weights.get(record.source, 1.0) for record in pool})


@given(weights=st.dictionaries(st.sampled_from(SOURCES), st.just(0.0) | st.floats(1e-3, 1e3)), task=st.data())
@settings(max_examples=60, deadline=None)
def test_probabilities_are_exactly_the_weights(store: Store, weights: dict[str, float], task) -> None:
    """What the draws come from: per task, a sample's probability is its source's weight over their sum."""
    weights |= {"patches": max(weights.get("patches", 1.0), 1e-3)}  # something is left to draw
    sampler = TaskSampler(store, None, SamplerParams(source_weights=weights))
    name = task.draw(st.sampled_from(("nuclei", "gland", "lumen")))
    asked = {
        i: weight
        for i in store.indices(task=name)
        if (weight := weights.get(store.records[i].source, 1.0)) > 0
    }
    pool = sampler.pool(name)
    assert (pool is None) is (not asked)
    if pool is not None:
        assert pool.indices.tolist() == list(asked)
        shares = np.array(list(asked.values())) / sum(asked.values())
        np.testing.assert_allclose(np.diff(pool.cumulative, prepend=0.0), shares, atol=1e-12)
        assert pool.cumulative[-1] == 1.0  # the last sample is not one that is never drawn


def test_a_task_that_is_left_out_gives_its_share_to_the_others(store: Store) -> None:
    weights = {"all": 0.0}  # the only source with lumina
    plans = _plans(store, replace(SamplerParams(5, segmentation_prob=0.5), source_weights=weights), 1500)
    _agree(Counter(_tasks(plans)), {"nuclei": 1, "gland": 1})
    _agree(Counter(str(plan.is_patch) for plan in plans), {"True": 1, "False": 1})
