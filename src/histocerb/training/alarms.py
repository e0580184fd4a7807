"""Early signs that a run will be in vain."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from histocerb.core.tasks import HeadKind, TaskSpec
from histocerb.data.sampler import TaskSampler
from histocerb.data.store import Store
from histocerb.training.journal import Row

_WINDOW = 0.1
"""Share of the steps of a stage over which a loss is averaged."""
STARVED = 0.2
"""Share of the time spent waiting for data from which on more loader processes are advised."""


def heads_without_samples(store: Store, sampler: TaskSampler, spec: TaskSpec) -> list[str]:
    """Heads of `spec` that no sample can teach."""
    found: list[str] = []
    for task in spec.tasks:
        pool = sampler.pool(task.name)
        indices = [] if pool is None else pool.indices.tolist()
        labels = [store.records[index].label(task.name) for index in indices]
        typed = any(label is not None and label.n_typed for label in labels)
        found += [h.name for h in task.heads if pool is None or (h.kind is HeadKind.TYPE and not typed)]
    return found


def stalled_heads(
    rows: Sequence[Row], heads: Collection[str], steps: int, step: int
) -> Iterator[tuple[str, str]]:
    """Heads that do not learn, with what is wrong.

    A head does not learn when the mean of its loss over the last tenth of the stage is not below that over
    the first tenth, or when it had no sample at all.

    Args:
        rows: of the stage.
        heads: of the stage.
        steps: of the stage, in all.
        step: now; there must be two tenths to compare.
    """
    window = max(1, round(_WINDOW * steps))
    for head in heads:
        values = {row.step: row.value for row in rows if row.name == f"loss/{head}"}
        first = [value for at, value in values.items() if at <= window]
        last = [value for at, value in values.items() if step - window < at <= step]
        if not values:
            yield head, f"had no sample in {step} steps"
        elif step >= 2 * window and first and last and np.mean(last) >= np.mean(first):
            yield (
                head,
                f"does not learn: its loss was {np.mean(first):.3g} and is {np.mean(last):.3g} at {step}",
            )
