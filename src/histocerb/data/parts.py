"""Batches that several processes share: who has how many samples of what."""

from __future__ import annotations

from histocerb.core.tasks import HeadKind, TaskSpec
from histocerb.data.sampler import BatchPlan, Draw
from histocerb.data.store import Store


def shares(
    plan: BatchPlan, parts: int, store: Store, spec: TaskSpec, *, all_labels: bool
) -> dict[str, tuple[int, ...]]:
    """How many samples of each part have a label for a head, known from the plan alone.

    Args:
        plan: the whole batch; part k has the draws k, k + `parts`, k + 2 `parts`, ...
        parts: how many there are.
        store: what is drawn from.
        spec: heads that count.
        all_labels: as in `CropParams`.

    Returns:
        Per head with a label anywhere in the batch, one number per part.
    """
    found = [
        _labelled(draw, store, spec, is_patch=plan.is_patch, all_labels=all_labels) for draw in plan.draws
    ]
    return {
        head.name: tuple(sum(head.name in names for names in found[k::parts]) for k in range(parts))
        for head in spec.heads
        if any(head.name in names for names in found)
    }


def _labelled(draw: Draw, store: Store, spec: TaskSpec, *, is_patch: bool, all_labels: bool) -> set[str]:
    """Heads that a crop of this draw has values for."""
    if is_patch:
        return {head.name for head in spec.heads if head.kind is HeadKind.PATCH}
    record, names = store.records[draw.index], set()
    for task in spec.objects:
        label = record.label(task.name) if all_labels or task.name == draw.task else None
        if label is not None:
            names |= {h.name for h in task.heads if h.kind is HeadKind.INSTANCE or label.n_typed}
    return names
