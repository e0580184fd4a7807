"""Which samples make up which batch: a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from histocerb.core.config_file import STRICT
from histocerb.core.errors import DataError, UsageError
from histocerb.core.tasks import CERBERUS, HeadKind, Task, TaskSpec
from histocerb.data.store import Store


class BatchMode(StrEnum):
    """When a task is drawn."""

    MIXED = "mixed"
    """Per sample."""
    FIXED = "fixed"
    """Once per batch."""


@dataclass(frozen=True)
class SamplerParams:
    """The paper's: 27 samples; segmentation in 70 % of the batches, patch classification in the others.

    Attributes:
        batch_size: samples in a batch; to train a patch head at least 2.
        mode: mixed or fixed.
        segmentation_prob: of a segmentation batch; 1 or 0 where the store has data for one kind only.
        source_weights: how often a sample of that source is drawn, relative to the others (default 1).
        task_weights: how often an object task is drawn in a segmentation batch, relative to the others
            (default 1); tasks without samples take no part.
    """

    __pydantic_config__ = STRICT

    batch_size: int = 27
    mode: BatchMode = BatchMode.MIXED
    segmentation_prob: float = 0.7
    source_weights: Mapping[str, float] = field(default_factory=dict)
    task_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.batch_size < 1 or not 0 <= self.segmentation_prob <= 1:
            raise UsageError(
                "expected a batch_size of at least 1 and a segmentation_prob from 0 to 1, "
                f"found {self.batch_size} and {self.segmentation_prob}; change them"
            )
        if any(weight < 0 for weight in self.source_weights.values()):
            raise UsageError(
                f"expected source_weights of 0 or more, found {dict(self.source_weights)}; change them"
            )
        if any(weight <= 0 for weight in self.task_weights.values()):
            raise UsageError(f"expected task_weights above 0, found {dict(self.task_weights)}; change them")


@dataclass(frozen=True)
class Draw:
    """One sample of a batch: the task it was drawn for, its place in the store, the seed of its view."""

    task: str
    index: int
    seed: int


@dataclass(frozen=True)
class BatchPlan:
    """The samples of one step. `is_patch`: they are patches to classify, not segmentation crops."""

    step: int
    is_patch: bool
    draws: tuple[Draw, ...]


@dataclass(frozen=True)
class Pool:
    """Samples with labels of one task, and the running sum of their probabilities."""

    task: str
    indices: npt.NDArray[np.int64]
    cumulative: npt.NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> Draw:
        """One of them."""
        place = np.searchsorted(self.cumulative, rng.random(), side="right")
        return Draw(self.task, int(self.indices[place]), int(rng.integers(2**63)))


class TaskSampler:
    """Draws batches from the samples of a store; the same for any number of workers and after a resume."""

    def __init__(
        self, store: Store, splits: Collection[str] | None, params: SamplerParams, spec: TaskSpec = CERBERUS
    ) -> None:
        """Take the samples of `splits` (None: all) that have labels of a task of `spec`.

        Raises:
            DataError: there is none, or a source weight names no source of the store.
        """
        self.params = params
        unknown = set(params.source_weights) - {record.source for record in store.records}
        if unknown:
            raise DataError(
                f"expected weights of sources that are in {store.path}, found {sorted(unknown)}; remove them"
            )
        pools = [_pool(store, task.name, _labelled(store, splits, task), params) for task in spec.objects]
        self._segmentation = tuple(pool for pool in pools if pool is not None)
        self._patch = None
        if spec.patch is not None:
            patches = [i for i in store.indices(splits=splits) if store.records[i].patch_class is not None]
            self._patch = _pool(store, spec.patch.name, patches, params)
        if self._patch is None and not self._segmentation:
            raise DataError(
                f"{store.path}: expected samples of {_named(splits)}, found none with labels; convert some"
            )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that have samples, patch classification last."""
        return tuple(pool.task for pool in (*self._segmentation, self._patch) if pool is not None)

    def pool(self, task: str) -> Pool | None:
        """The samples that are drawn for a task; None where it has none."""
        return next((pool for pool in (*self._segmentation, self._patch) if pool and pool.task == task), None)

    def draw(self, seed: int, step: int) -> BatchPlan:
        """The batch of that step."""
        rng = np.random.default_rng([seed, step])
        is_patch = bool(rng.random() >= self.params.segmentation_prob)
        if self._patch is None or not self._segmentation:
            is_patch = not self._segmentation
        pools = (self._patch,) if is_patch and self._patch is not None else self._segmentation
        fixed = self.params.mode is BatchMode.FIXED
        pool = self._one_of(pools, rng)
        draws = []
        for _ in range(self.params.batch_size):
            chosen = pool if fixed else self._one_of(pools, rng)
            draws.append(chosen.draw(rng))
        return BatchPlan(step, is_patch, tuple(draws))

    def _one_of(self, pools: tuple[Pool, ...], rng: np.random.Generator) -> Pool:
        """One of them, by the weights of their tasks; without any, all alike."""
        weights = self.params.task_weights
        if not weights:
            return pools[int(rng.integers(len(pools)))]
        shares = np.cumsum([weights.get(pool.task, 1.0) for pool in pools])
        return pools[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]


def _named(splits: Collection[str] | None) -> str:
    return "any split" if splits is None else f"split {' or '.join(splits) or '(none)'}"


def _labelled(store: Store, splits: Collection[str] | None, task: Task) -> list[int]:
    """Samples of `splits` with a label for a head of `task`: typed ones where it only has a type head."""
    needed = 0 if task.head(HeadKind.INSTANCE) else 1
    found = store.indices(splits=splits, task=task.name)
    return [i for i in found if (label := store.records[i].label(task.name)) and label.n_typed >= needed]


def _pool(store: Store, task: str, indices: list[int], params: SamplerParams) -> Pool | None:
    weights = np.array([params.source_weights.get(store.records[i].source, 1.0) for i in indices], np.float64)
    if weights.sum() == 0:
        return None
    chosen = np.array(indices, np.int64)[weights > 0]
    cumulative = np.cumsum(weights[weights > 0])
    return Pool(task, chosen, cumulative / cumulative[-1])
