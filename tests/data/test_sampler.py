from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import DataError, UsageError
from histocerb.core.samples import ObjectLabels
from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import convert
from histocerb.data.sampler import BatchMode, SamplerParams, TaskSampler
from histocerb.data.sources.entry import as_entries
from histocerb.data.splits import SplitParams
from histocerb.data.store import Store

PAPER = SamplerParams(batch_size=9)


@given(st.integers(0, 2**40), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_batch_is_a_function_of_seed_and_step(store: Store, seed: int, step: int) -> None:
    one, other = (TaskSampler(store, None, PAPER).draw(seed, step) for _ in range(2))
    assert one == other
    assert one.step == step
    assert one != TaskSampler(store, None, PAPER).draw(seed + 1, step)
    assert len({draw.seed for draw in one.draws}) == 9


def test_every_sample_has_the_label_it_was_drawn_for(store: Store) -> None:
    sampler = TaskSampler(store, None, PAPER)
    for step in range(60):
        plan = sampler.draw(0, step)
        for draw in plan.draws:
            record = store.records[draw.index]
            assert plan.is_patch == (draw.task == "tissue")
            assert record.patch_class if plan.is_patch else record.label(draw.task)


def test_super_tasks_and_tasks_have_the_papers_shares(store: Store) -> None:
    sampler = TaskSampler(store, ["train"], PAPER)
    plans = [sampler.draw(7, step) for step in range(2000)]
    assert sum(plan.is_patch for plan in plans) / 2000 == pytest.approx(0.3, abs=0.035)
    tasks = Counter(draw.task for plan in plans if not plan.is_patch for draw in plan.draws)
    assert set(tasks) == {"nuclei", "gland", "lumen"}
    for count in tasks.values():
        assert count / tasks.total() == pytest.approx(1 / 3, abs=0.02)
    drawn = Counter(d.index for plan in plans for d in plan.draws if d.task == "gland")
    assert len(drawn) == 6
    assert max(drawn.values()) < 1.2 * min(drawn.values())


def test_fixed_batches_are_of_one_task(store: Store) -> None:
    sampler = TaskSampler(store, None, replace(PAPER, mode=BatchMode.FIXED, segmentation_prob=1.0))
    tasks = [{draw.task for draw in sampler.draw(0, step).draws} for step in range(300)]
    assert all(len(found) == 1 for found in tasks)
    counts = Counter(task for found in tasks for task in found)
    assert min(counts.values()) > 70
    mixed = TaskSampler(store, None, replace(PAPER, segmentation_prob=1.0))
    assert any(len({draw.task for draw in mixed.draw(0, step).draws}) > 1 for step in range(5))


def test_source_weights(store: Store) -> None:
    weights = {"glands": 0.0, "made": 1.0, "all": 12.0}
    sampler = TaskSampler(store, None, replace(PAPER, source_weights=weights))
    draws = [d for step in range(400) for d in sampler.draw(1, step).draws]
    count = Counter((d.task, store.records[d.index].source) for d in draws)
    assert ("gland", "glands") not in count
    share = count["nuclei", "all"] / (count["nuclei", "all"] + count["nuclei", "made"])
    assert share == pytest.approx(24 / 32, abs=0.05)
    with pytest.raises(DataError, match="lizard"):
        TaskSampler(store, None, replace(PAPER, source_weights={"lizard": 1.0}))


@pytest.mark.parametrize("mode", list(BatchMode))
def test_task_weights(store: Store, mode: BatchMode) -> None:
    weights = {"gland": 3.0, "lumen": 0.5}
    sampler = TaskSampler(store, None, replace(PAPER, mode=mode, segmentation_prob=1.0, task_weights=weights))
    tasks = Counter(draw.task for step in range(3000) for draw in sampler.draw(1, step).draws)
    shares = {task: count / tasks.total() for task, count in tasks.items()}
    expected = {"nuclei": 1 / 4.5, "gland": 3 / 4.5, "lumen": 0.5 / 4.5}
    assert shares == pytest.approx(expected, abs=0.03)
    one = TaskSampler(store, None, sampler.params, CERBERUS.only(["lumen.instance"]))
    assert {draw.task for step in range(20) for draw in one.draw(1, step).draws} == {"lumen"}


def test_what_has_no_data_is_left_out(store: Store) -> None:
    no_patches = replace(PAPER, source_weights={"patches": 0.0})
    sampler = TaskSampler(store, None, no_patches)
    assert sampler.tasks == ("nuclei", "gland", "lumen")
    assert not any(sampler.draw(0, step).is_patch for step in range(50))
    only_patches = replace(PAPER, source_weights={"made": 0.0, "glands": 0.0, "all": 0.0})
    assert all(TaskSampler(store, None, only_patches).draw(0, step).is_patch for step in range(50))
    with pytest.raises(DataError, match="split valid"):
        TaskSampler(store, ["valid"], PAPER)


def test_tasks_follow_the_spec(store: Store) -> None:
    spec = replace(CERBERUS, tasks=CERBERUS.tasks[1:3])
    assert TaskSampler(store, None, PAPER, spec).tasks == ("gland", "lumen")


def test_a_type_head_alone_needs_typed_objects(tmp_path: Path, sample) -> None:
    typed, bare = sample("typed"), sample("bare")
    bare = replace(bare, objects={"nuclei": ObjectLabels(bare.objects["nuclei"].ids)})
    store = convert(as_entries([typed, bare]), tmp_path, split=SplitParams(valid_fraction=0.0))
    for heads, expected in ((["nuclei.type"], {"typed"}), (["nuclei.instance"], {"typed", "bare"})):
        sampler = TaskSampler(store, None, PAPER, CERBERUS.only(heads))
        drawn = {store.records[d.index].name for step in range(9) for d in sampler.draw(0, step).draws}
        assert drawn == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"segmentation_prob": 1.2},
        {"source_weights": {"made": -1.0}},
        {"task_weights": {"gland": 0.0}},
    ],
)
def test_wrong_parameters(wrong) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        SamplerParams(**wrong)
