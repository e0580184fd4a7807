"""Training batches: crops with their targets as tensors, one batch per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from histocerb.core.config_file import STRICT
from histocerb.core.errors import UsageError
from histocerb.core.tasks import CELL_PX, CERBERUS, HeadKind, Task, TaskSpec
from histocerb.data.augment import AugmentParams, place, restyle
from histocerb.data.borders import border_weights
from histocerb.data.ink import blot, ink, without_covered
from histocerb.data.parts import shares
from histocerb.data.sampler import BatchPlan, Draw, TaskSampler
from histocerb.data.store import Store
from histocerb.data.targets import ellipse, instance_target, membership, type_target
from histocerb.data.warp import Matrix, grown, warp_ids, warp_image
from histocerb.models.config import STRIDE

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class CropParams:
    """What a sample looks like in a batch.

    Attributes:
        crop_px: side of segmentation crops at 0.5 um per pixel, a multiple of 16.
        patch_margin_px: context around the 144 px patches that are classified, a multiple of 16, mirrored as
            at the border of an image. Cells of a slide have context; features of a bare patch (0, the paper's
            way) are partly of its padding.
        augment: random views.
        contour: eroded and contour targets ("Cerberus+"); without it eroded only.
        border_weights: whether instance heads get a weight map.
        all_labels: give every object label that a sample has, not only those of the task it was drawn for
            (the paper's way). Decoders then learn from more samples than the sampler drew for them.
    """

    __pydantic_config__ = STRICT

    crop_px: int = 448
    patch_margin_px: int = 0
    augment: AugmentParams = field(default_factory=AugmentParams)
    contour: bool = True
    border_weights: bool = True
    all_labels: bool = False

    def __post_init__(self) -> None:
        if self.crop_px < STRIDE or self.crop_px % STRIDE:
            raise UsageError(
                f"expected a crop_px that is a multiple of {STRIDE}, found {self.crop_px}; change it"
            )
        if self.patch_margin_px % STRIDE or not 0 <= self.patch_margin_px < CELL_PX:
            raise UsageError(
                f"expected a patch_margin_px below {CELL_PX} that is a multiple of {STRIDE}, "
                f"found {self.patch_margin_px}; change it"
            )


@dataclass(frozen=True)
class HeadTarget:
    """What one head shall say about a batch of N; samples without this label have zeros.

    Attributes:
        values: N x H x W uint8 (instance: 0 background, 1 inside, 2 contour; type: row of `membership`) or
            N int64 (patch: class).
        rows: int64, places of the samples with this label, rising. (Places and not a mask, whose use would
            make the host wait for the device.)
        weights: N x H x W float32, instance heads with border weights only.
        membership: G x K bool, type heads only: channels that are right for each value.
    """

    values: torch.Tensor
    rows: torch.Tensor
    weights: torch.Tensor | None = None
    membership: torch.Tensor | None = None

    @property
    def present(self) -> torch.Tensor:
        """N bool: which samples have this label."""
        mask = torch.zeros(len(self.values), dtype=torch.bool, device=self.rows.device)
        return mask.index_fill(0, self.rows, True)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> HeadTarget:
        """A copy on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> HeadTarget:
        """A copy in page-locked memory."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> HeadTarget:
        return HeadTarget(
            values=change(self.values),
            rows=change(self.rows),
            weights=None if self.weights is None else change(self.weights),
            membership=None if self.membership is None else change(self.membership),
        )


@dataclass(frozen=True)
class Batch:
    """N crops of one size with their targets.

    Attributes:
        step: the step it is for.
        images: N x 3 x H x W uint8 RGB, channels last in memory.
        targets: per head name; only heads with a label for at least one sample.
        tasks: the task that each sample was drawn for.
        indices: N int64, places in the store.
        shares: of a part of a batch: per head with a label anywhere in the batch, how many samples of each
            part have it. {} for a whole batch.
    """

    step: int
    images: torch.Tensor
    targets: dict[str, HeadTarget]
    tasks: tuple[str, ...]
    indices: torch.Tensor
    shares: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """A copy on `device`."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=non_blocking),
            targets={h: t.to(device, non_blocking=non_blocking) for h, t in self.targets.items()},
            indices=self.indices.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> Batch:
        """A copy in page-locked memory."""
        return replace(
            self,
            images=self.images.pin_memory(),
            targets={head: target.pin_memory() for head, target in self.targets.items()},
            indices=self.indices.pin_memory(),
        )


class BatchDataset(Dataset[Batch]):
    """`dataset[step]` is the batch of that step, a function of store, sampler, seed and parameters only.

    With `part` = (k, n) it is the samples k, k + n, k + 2n, ... of that batch: the n parts are the whole.
    """

    def __init__(
        self,
        store: Store,
        sampler: TaskSampler,
        seed: int,
        params: CropParams = CropParams(),
        spec: TaskSpec = CERBERUS,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Batches of `sampler` from `store` for the heads of `spec`."""
        self.store, self.sampler, self.seed, self.params, self.spec = store, sampler, seed, params, spec
        self.part = part
        self._membership = {
            head.name: membership(task)
            for task in spec.objects
            if (head := task.head(HeadKind.TYPE)) is not None
        }

    def __getitem__(self, step: int) -> Batch:
        plan = self.sampler.draw(self.seed, step)
        part, parts = self.part
        mine = replace(plan, draws=plan.draws[part::parts])
        crops = [self.crop(draw, is_patch=plan.is_patch) for draw in mine.draws]
        batch = _collate(mine, crops, self._membership)
        if parts == 1:
            return batch
        return replace(
            batch, shares=shares(plan, parts, self.store, self.spec, all_labels=self.params.all_labels)
        )

    def crop(self, draw: Draw, *, is_patch: bool) -> tuple[npt.NDArray[np.uint8], Arrays]:
        """One sample: its S x S x 3 image, and per head its values (under `head + WEIGHTS` its weights)."""
        rng = np.random.default_rng(draw.seed)
        params, record = self.params, self.store.records[draw.index]
        side = CELL_PX if is_patch else params.crop_px
        matrix = place(rng, (record.height, record.width), side, params.augment)
        image = warp_image(self.store.image(draw.index), matrix, side)
        inked = None if is_patch else blot(rng, side, params.augment)
        if inked is not None:
            image = ink(rng, image, inked)
        image = restyle(rng, image, params.augment)
        if is_patch:
            return _mirrored(image, params.patch_margin_px), _patch_target(self.spec, record.patch_class)
        arrays: Arrays = {}
        for task in self.spec.objects:
            wanted = params.all_labels or task.name == draw.task
            if wanted and record.label(task.name) is not None:
                arrays |= self._object_targets(draw.index, task, matrix, inked)
        return image, arrays

    def _object_targets(
        self, index: int, task: Task, matrix: Matrix, inked: npt.NDArray[np.bool_] | None
    ) -> Arrays:
        """Targets of one task; made with a margin, so that they are those of the whole image, cut."""
        assert task.postproc is not None
        params, element_px, outer = self.params, task.postproc.element_px, task.postproc.outer_contour
        margin = ellipse(element_px).shape[0] // 2
        ids = warp_ids(self.store.ids(index, task.name), grown(matrix, margin), params.crop_px + 2 * margin)
        if inked is not None:
            ids = without_covered(ids, np.pad(inked, margin, mode="edge"))
        inner = (slice(margin, -margin),) * 2 if margin else (slice(None),) * 2
        arrays: Arrays = {}
        instance, typed = task.head(HeadKind.INSTANCE), task.head(HeadKind.TYPE)
        if instance is not None:
            arrays[instance.name] = instance_target(ids, element_px, contour=params.contour, outer=outer)[
                inner
            ]
            if params.border_weights:
                arrays[instance.name + WEIGHTS] = border_weights(ids, element_px)[inner]
        classes = self.store.classes(index, task.name) if typed is not None else {}
        if typed is not None and classes:
            arrays[typed.name] = type_target(ids[inner], classes, task)
        return arrays


WEIGHTS = "/weights"
"""Suffix of a head's weight map among the arrays of a crop."""


def loader(
    dataset: BatchDataset, steps: Sequence[int], *, workers: int, pin_memory: bool = False
) -> DataLoader[Batch]:
    """Batches of those steps in that order; `range(done, total)` goes on where a run stopped."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=pin_memory,
        persistent_workers=False,
        prefetch_factor=2 if workers else None,
    )


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)


def _patch_target(spec: TaskSpec, patch_class: str | None) -> Arrays:
    assert spec.patch is not None
    assert patch_class is not None
    head = spec.patch.head(HeadKind.PATCH)
    assert head is not None
    return {head.name: np.array(head.channels.index(patch_class))}


def _mirrored(image: npt.NDArray[np.uint8], margin_px: int) -> npt.NDArray[np.uint8]:
    return np.pad(image, ((margin_px, margin_px), (margin_px, margin_px), (0, 0)), mode="reflect")


def _collate(
    plan: BatchPlan,
    crops: Sequence[tuple[npt.NDArray[np.uint8], Arrays]],
    tables: dict[str, npt.NDArray[np.bool_]],
) -> Batch:
    heads = dict.fromkeys(name for _, arrays in crops for name in arrays if not name.endswith(WEIGHTS))
    targets = {}
    for head in heads:
        rows = [arrays.get(head) for _, arrays in crops]
        weights = [arrays.get(head + WEIGHTS) for _, arrays in crops]
        targets[head] = HeadTarget(
            values=_stack(rows),
            rows=torch.tensor([i for i, row in enumerate(rows) if row is not None]),
            weights=_stack(weights) if any(w is not None for w in weights) else None,
            membership=torch.from_numpy(tables[head]) if head in tables else None,
        )
    return Batch(
        step=plan.step,
        images=torch.from_numpy(np.stack([image for image, _ in crops])).permute(0, 3, 1, 2),
        targets=targets,
        tasks=tuple(draw.task for draw in plan.draws),
        indices=torch.tensor([draw.index for draw in plan.draws]),
    )


def _stack(rows: Sequence[npt.NDArray[Any] | None]) -> torch.Tensor:
    """All rows, zeros for those that are missing."""
    blank = next(np.zeros_like(row) for row in rows if row is not None)
    return torch.from_numpy(np.stack([blank if row is None else row for row in rows]))
