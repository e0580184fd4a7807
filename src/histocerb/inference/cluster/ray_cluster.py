"""The slides of a plan as tasks of a Ray cluster.

The driver has nodes look at every slide, compute the shards of large ones and finish them (`tasks`), the
largest slides first. It gives out as many tasks as the nodes have room for. A task whose worker or node is
lost is given out again.
"""

from __future__ import annotations

import heapq
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

from histocerb.core.errors import UsageError
from histocerb.inference.cluster import tasks
from histocerb.inference.cluster.tasks import Job, Shard
from histocerb.inference.cohort.run import Outcome, attempt
from histocerb.inference.slide import SlideResult

_LOG = logging.getLogger(__name__)

_POLL_S = 5.0
"""Between two looks at which nodes there are."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}
"""Ray reports nothing over the network, and hides GPUs from tasks that asked for none."""


@dataclass(frozen=True)
class Cluster:
    """Which cluster, and how it is used.

    Attributes:
        address: of Ray's head, or `auto`: the one that runs on this machine.
        gpus: take GPUs where there are any; then only nodes with GPUs work.
        attempts: how often a task is given out before its slide counts as failed.
        cpus: that a task takes.
    """

    address: str = "auto"
    gpus: bool = True
    attempts: int = 4
    cpus: int = 2


@dataclass(frozen=True, order=True)
class _Task:
    """Something that a node is to do; the smallest comes first.

    Attributes:
        phase: 0 finishes a slide, 1 computes a shard, 2 begins a slide.
        order: of the slide in the plan, then of the shard.
        attempt: from 1.
        job: the slide.
        shard: of phase 1.
    """

    phase: int
    order: tuple[int, int]
    attempt: int
    job: Job = field(compare=False)
    shard: Shard = field(default=(), compare=False)

    def work(self) -> Callable[[], Any]:
        """What is to be called on the node."""
        again = self.attempt > 1
        if self.phase == _BEGIN:
            return partial(tasks.begin, self.job, again=again)
        if self.phase == _COMPUTE:
            return partial(tasks.compute, self.job, self.shard)
        return partial(tasks.finish, self.job, again=again)


_FINISH, _COMPUTE, _BEGIN = range(3)


def outcomes(jobs: Sequence[Job], cluster: Cluster) -> Iterator[Outcome]:
    """What becomes of each slide, as soon as that is known.

    Args:
        jobs: one per slide, in the order in which they are to be begun.
        cluster: who does it.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    if jobs:
        with _connected(cluster.address) as ray:
            yield from _Driver(ray, jobs, cluster).run()


class _Driver:
    """Gives out tasks and takes back what came of them."""

    def __init__(self, ray: Any, jobs: Sequence[Job], cluster: Cluster) -> None:
        self._ray, self._cluster = ray, cluster
        self._share = _Share.of(ray.nodes(), cluster)
        options = {
            "num_cpus": self._share.cpus,
            "num_gpus": self._share.gpus,
            "max_retries": 0,
            "max_calls": 0,
        }
        self._remote = ray.remote(**options)(_on_node)
        self._queue = [_Task(_BEGIN, (number, 0), 1, job) for number, job in enumerate(jobs)]
        self._running: dict[Any, _Task] = {}
        self._shards: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    def run(self) -> Iterator[Outcome]:
        """See `outcomes`."""
        while self._queue or self._running:
            self._give_out()
            done, _ = self._ray.wait(list(self._running), timeout=_POLL_S)
            for ref in done:
                outcome = self._take_back(self._running.pop(ref), ref)
                if outcome is not None:
                    yield outcome

    def _give_out(self) -> None:
        """Tasks for all nodes that are there now, and one more, so that none waits for the driver."""
        places = self._share.places(self._ray.nodes()) + 1
        while self._queue and len(self._running) < places:
            task = heapq.heappop(self._queue)
            self._running[self._remote.remote(task.job.slide, task.work())] = task

    def _take_back(self, task: _Task, ref: Any) -> Outcome | None:
        """What came of a task; the outcome of its slide, once that is known."""
        slide = task.job.slide
        try:
            found, seconds = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            return self._failed(task, f"unexpected {type(error.cause).__name__}: {error.cause}")
        except self._ray.exceptions.RayError as error:
            return self._lost(task, error)
        self._seconds[slide.name] = self._seconds.get(slide.name, 0.0) + seconds
        if isinstance(found, Outcome | SlideResult):
            return self._ended(task, found)
        if task.phase == _BEGIN:
            self._cut(task, found)
        elif slide.name in self._shards:  # else the slide has failed meanwhile
            self._shard_done(task)
        return None

    def _cut(self, task: _Task, shards: tuple[Shard, ...]) -> None:
        """A slide is large: its shards, then its end, are to be done."""
        _LOG.info("%s: %d shards", task.job.slide.path, len(shards))
        self._shards[task.job.slide.name] = len(shards)
        for number, shard in enumerate(shards):
            heapq.heappush(self._queue, _Task(_COMPUTE, (task.order[0], number), 1, task.job, shard))
        if not shards:
            self._finish(task)

    def _shard_done(self, task: _Task) -> None:
        name = task.job.slide.name
        self._shards[name] -= 1
        _LOG.info("%s: a shard is done, %d left", task.job.slide.path, self._shards[name])
        if not self._shards[name]:
            self._finish(task)

    def _finish(self, task: _Task) -> None:
        heapq.heappush(self._queue, _Task(_FINISH, (task.order[0], 0), 1, task.job))

    def _lost(self, task: _Task, error: Exception) -> Outcome | None:
        """A worker or node is gone: its task is given out again."""
        what = type(error).__name__
        if task.attempt >= self._cluster.attempts:
            return self._failed(
                task,
                f"expected a node to do its part, found that worker or node were lost {task.attempt} times "
                f"({what}); look after the memory of the nodes and run the same command again",
            )
        _LOG.warning(
            "%s: a worker or node was lost (%s); its task is given out again", task.job.slide.path, what
        )
        heapq.heappush(self._queue, replace(task, attempt=task.attempt + 1))
        return None

    def _failed(self, task: _Task, reason: str) -> Outcome | None:
        return self._ended(task, Outcome(task.job.slide, 0.0, reason=reason))

    def _ended(self, task: _Task, found: SlideResult | Outcome) -> Outcome | None:
        """The outcome of a slide; with its first failure, what is left of it is forgotten."""
        slide = task.job.slide
        if task.phase == _COMPUTE and self._shards.pop(slide.name, None) is None:
            return None
        self._queue = [other for other in self._queue if other.job.slide.name != slide.name]
        heapq.heapify(self._queue)
        seconds = self._seconds.get(slide.name, 0.0)
        if isinstance(found, Outcome):
            return replace(found, seconds=seconds)
        return Outcome(slide, seconds, found)


@dataclass(frozen=True)
class _Share:
    """What a task takes of a node.

    Attributes:
        cpus: processors.
        gpus: GPUs; where there are any, only nodes with GPUs work.
    """

    cpus: float
    gpus: int

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]], cluster: Cluster) -> _Share:
        """What a task takes on the nodes that are there.

        Raises:
            UsageError: None of them computes.
        """
        alive = _alive(nodes)
        gpus = int(cluster.gpus and any(found.get("GPU", 0) >= 1 for found in alive))
        cpus = [found["CPU"] for found in alive if found.get("CPU", 0) >= 1 and found.get("GPU", 0) >= gpus]
        if not cpus:
            raise UsageError(
                "expected nodes with processors in the Ray cluster, found none; add some with `ray start`"
            )
        return cls(min(float(cluster.cpus), min(cpus)), gpus)

    def places(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        """For how many tasks there is room on the nodes that are there."""
        rooms = [found.get("CPU", 0) // self.cpus for found in _alive(nodes)]
        if self.gpus:
            rooms = [min(room, found.get("GPU", 0)) for room, found in zip(rooms, _alive(nodes), strict=True)]
        return int(sum(rooms))


def _alive(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, float]]:
    """Resources of the nodes that are alive."""
    return [node["Resources"] for node in nodes if node["Alive"]]


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster.

    Raises:
        UsageError: It is not installed, or there is no such cluster.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise UsageError("--cluster expects Ray, found none; pip install 'histocerb[cluster]'") from None
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"--cluster {address}: expected a Ray cluster, found none ({reason}); start one with "
            "`ray start --head`, or give the address of its head"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See that somebody listens at HOST:PORT; Ray would try for minutes.

    Raises:
        OSError: Nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_POLL_S).close()


def _on_node(slide: Any, work: Callable[[], Any]) -> tuple[Any, float]:
    """Call something; gives what it gave, or the outcome where it failed, and the seconds it took."""
    start_s = time.monotonic()
    try:
        found = work()
    except Exception as error:
        found = attempt(slide, partial(_raise, error))
    return found, time.monotonic() - start_s


def _raise(error: Exception) -> NoReturn:
    raise error
