from __future__ import annotations

from dataclasses import replace

import numpy as np

from histocerb.core.tasks import CERBERUS
from histocerb.data.sampler import SamplerParams, TaskSampler
from histocerb.data.store import Store
from histocerb.training.alarms import heads_without_samples, stalled_heads
from histocerb.training.journal import Row


def _rows(head: str, values: np.ndarray) -> list[Row]:
    return [Row(1, 10 * (k + 1), f"loss/{head}", float(value)) for k, value in enumerate(values)]


def test_a_loss_that_does_not_fall_is_named() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, 50)
    rows = [
        *_rows("learns", np.linspace(1, 0.6, 50) + noise),
        *_rows("flat", np.full(50, 0.7) + np.arange(50) * 1e-6),
        *_rows("rises", np.linspace(0.5, 0.9, 50) + noise),
    ]
    found = dict(stalled_heads(rows, ("learns", "flat", "rises", "absent"), steps=1000, step=500))
    assert set(found) == {"flat", "rises", "absent"}
    assert "no sample in 500 steps" in found["absent"]
    assert "does not learn" in found["rises"]


def test_two_windows_are_needed() -> None:
    rows = _rows("flat", np.full(50, 0.7))
    assert not list(stalled_heads(rows[:19], ("flat",), steps=1000, step=190))
    assert list(stalled_heads(rows[:20], ("flat",), steps=1000, step=200))


HEADS = ("gland.instance", "gland.type", "lumen.instance", "tissue.patch")


def test_every_head_of_a_full_store_has_samples(store: Store) -> None:
    spec = CERBERUS.only(HEADS)
    assert heads_without_samples(store, TaskSampler(store, None, SamplerParams(), spec), spec) == []


def test_heads_that_no_sample_can_teach(store: Store) -> None:
    spec = CERBERUS.only(HEADS)
    never_patches = SamplerParams(source_weights={"patches": 0})
    sampler = TaskSampler(store, None, never_patches, spec)
    assert heads_without_samples(store, sampler, spec) == ["tissue.patch"]
    untyped = tuple(
        replace(record, labels=tuple(replace(label, n_typed=0) for label in record.labels))
        for record in store.records
    )
    other = Store(store.path, untyped)
    sampler = TaskSampler(other, None, SamplerParams(), spec)
    assert heads_without_samples(other, sampler, spec) == ["gland.type"]
