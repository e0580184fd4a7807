"""What the driver of a cluster makes of tasks that are done, fail or are lost, without Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from histocerb.core.errors import UsageError
from histocerb.inference.cluster import ray_cluster, tasks
from histocerb.inference.cluster.ray_cluster import Cluster
from histocerb.inference.cluster.tasks import Job, ModelOnNodes
from histocerb.inference.cohort.run import Outcome
from histocerb.inference.cohort.slides import CohortSlide
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.slide import SlideResult
from histocerb.slides.staging import Cache


class LostError(Exception):
    """A worker that died."""


@dataclass(frozen=True, eq=False)
class Ref:
    call: Callable[..., Any]
    arguments: tuple[Any, ...]


class FakeRay:
    """Does a task when its result is asked for; some are lost first."""

    exceptions = SimpleNamespace(RayError=LostError, RayTaskError=type("RayTaskError", (LostError,), {}))

    def __init__(self, lost=(), nodes=({"CPU": 2.0},)):
        self.lost, self.resources = list(lost), nodes
        self.done, self.most, self.options = [], 0, {}

    def nodes(self):
        return [{"Alive": True, "Resources": found} for found in self.resources]

    def remote(self, **options):
        self.options = options

        def decorate(call):
            return SimpleNamespace(remote=lambda *arguments: Ref(call, arguments))

        return decorate

    def wait(self, refs, timeout):
        self.most = max(self.most, len(refs))
        return refs[:1], refs[1:]

    def get(self, ref):
        slide, work = ref.arguments
        what = (work.func.__name__, slide.name)
        if what in self.lost:
            self.lost.remove(what)
            self.done.append(("lost", *what))
            raise LostError
        self.done.append(what)
        return ref.call(*ref.arguments)


@pytest.fixture
def jobs():
    def make(*names):
        model = ModelOnNodes(lambda: None, "0")
        return [
            Job(CohortSlide(Path(name), name), Path("out"), model, WorkSettings(), False, Cache(), 1)
            for name in names
        ]

    return make


@pytest.fixture
def work(monkeypatch):
    """Slides with a number in their name have so many shards; those called bad fail in the last one."""

    def begin(job, again=False):
        count = int(job.slide.name[-1])
        return tuple(((number, 0),) for number in range(count)) if count else finish(job)

    def compute(job, shard):
        if job.slide.name.startswith("bad") and shard[0][0]:
            raise ValueError("no such window")

    def finish(job, again=False):
        return SlideResult(job.out / job.slide.name, None, skipped=again)

    for call in (begin, compute, finish):
        monkeypatch.setattr(tasks, call.__name__, call)


def run(ray, jobs, **options):
    return list(ray_cluster._Driver(ray, jobs, Cluster(**options)).run())


@pytest.mark.usefixtures("work")
def test_large_slides_are_cut_and_go_before_the_next(jobs):
    ray = FakeRay()
    found = run(ray, jobs("large3", "small0", "other0"))
    assert {outcome.slide.name: outcome.failed for outcome in found} == dict.fromkeys(
        ["large3", "small0", "other0"], False
    )
    assert ray.most == 2  # room for one, and one that waits
    assert ray.done == [
        ("begin", "large3"),
        ("begin", "small0"),
        ("compute", "large3"),
        ("compute", "large3"),
        ("compute", "large3"),
        ("begin", "other0"),
        ("finish", "large3"),
    ]


@pytest.mark.usefixtures("work")
def test_what_is_lost_is_given_out_again(jobs):
    ray = FakeRay([("compute", "large2"), ("finish", "large2"), ("begin", "small0"), ("finish", "large2")])
    found = {outcome.slide.name: outcome for outcome in run(ray, jobs("large2", "small0"))}
    assert not any(outcome.failed for outcome in found.values())
    assert ray.done.count(("compute", "large2")) == 2
    assert found["large2"].result.skipped  # told that it is not the first attempt


@pytest.mark.usefixtures("work")
def test_what_is_lost_too_often_has_failed(jobs):
    ray = FakeRay([("begin", "small0")] * 3)
    small, other = run(ray, jobs("small0", "other0"), attempts=3)[::-1]
    assert not other.failed
    assert "lost 3 times (LostError); look after the memory" in small.reason


@pytest.mark.usefixtures("work")
def test_a_shard_that_fails_ends_its_slide_once(jobs):
    ray = FakeRay(nodes=({"CPU": 8.0},))
    found = run(ray, jobs("bad5", "small0"))
    assert sorted((o.slide.name, o.reason.partition(";")[0]) for o in found) == [
        ("bad5", "unexpected ValueError: no such window"),
        ("small0", ""),
    ]
    assert all(isinstance(outcome, Outcome) for outcome in found)
    assert ("finish", "bad5") not in ray.done


@pytest.mark.parametrize(
    ("nodes", "gpus", "cpus", "num_gpus", "places"),
    [
        (({"CPU": 8.0}, {"CPU": 4.0}), True, 2.0, 0, 6),
        (({"CPU": 1.0}, {"CPU": 4.0}), True, 1.0, 0, 5),
        (({"CPU": 8.0, "GPU": 2.0}, {"CPU": 64.0}), True, 2.0, 1, 2),
        (({"CPU": 8.0, "GPU": 2.0}, {"CPU": 64.0}), False, 2.0, 0, 36),
        (({"CPU": 2.0, "GPU": 4.0},), True, 2.0, 1, 1),
    ],
)
def test_what_a_task_takes(nodes, gpus, cpus, num_gpus, places):
    ray = FakeRay(nodes=nodes)
    share = ray_cluster._Share.of(ray.nodes(), Cluster(gpus=gpus))
    assert (share.cpus, share.gpus, share.places(ray.nodes())) == (cpus, num_gpus, places)
    assert share.places([]) == 0


def test_a_cluster_that_computes_nothing():
    with pytest.raises(UsageError, match="expected nodes with processors"):
        ray_cluster._Share.of(FakeRay(nodes=({"CPU": 0.0},)).nodes(), Cluster())
