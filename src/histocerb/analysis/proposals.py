"""Which regions of a slide are most worth correcting.

With n_t things of term t in a window and v their values, the window's term is the mean shrunk towards that of
the slide, m_t::

    r_t = (sum v + k_t m_t) / (n_t + k_t)

where k_t is a quarter of the things in an average window of tissue and at least 1. So neither an empty window
wins (r_t = m_t) nor one with a single odd thing, nor a crowded one by its number. The score is

    tissue share of the window * sum_t w_t r_t / sum_t w_t

with the weights of `uncertainty.Weights`, between 0 and 1. Windows begin at multiples of an eighth of their
side. The best is taken, those that overlap it are left out, and so on; of equals the first in raster order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.analysis.objects import Scale
from histocerb.analysis.uncertainty import Bins, Float, Term, Weights, terms, tissue_share
from histocerb.core.errors import UsageError
from histocerb.core.geometry import Region
from histocerb.core.proposal import Proposal
from histocerb.core.tasks import CELL_PX, CERBERUS, TaskSpec

COLUMNS = ("object_id", "kind", "class", "class_prob", "score", "x", "y", "tissue")
"""Columns of the object table that are looked at, besides that of the containing object."""

_BINS_PER_SIDE = 8
_PRIOR_WINDOWS = 0.25
_MOST_REASONS = 3
_DECIMALS = 9
"""Scores are compared after rounding, so that sums in another order choose the same windows."""


@dataclass(frozen=True)
class _Measured:
    """A term in every window.

    Attributes:
        term: the term.
        mean: on the slide.
        value: rows x columns of windows, shrunk means.
    """

    term: Term
    mean: float
    value: Float


def propose(
    objects: pa.Table,
    tissue: pa.Table,
    size_px: tuple[int, int],
    scale: Scale,
    n: int,
    side_px: int,
    spec: TaskSpec = CERBERUS,
    weights: Weights = Weights(),  # noqa: B008 - frozen
) -> list[Proposal]:
    """The `n` regions that can be trusted least, the worst first; fewer where there is no room for more.

    Args:
        objects: rows of `objects.parquet` with `COLUMNS` and the id of the containing object.
        tissue: rows of `tissue.parquet`.
        size_px: width and height of the slide in level-0 pixels.
        scale: level-0 to working pixels.
        n: how many.
        side_px: of the square regions in working pixels; less where the slide is smaller.
        spec: tasks of the model.
        weights: of the terms.

    Returns:
        Regions inside the slide that do not overlap.

    Raises:
        UsageError: `n` or `side_px` is too small.
    """
    if n < 1 or side_px < CELL_PX:
        raise UsageError(
            f"expected at least 1 region of at least {CELL_PX} px, found {n} of {side_px} px; raise it"
        )
    width, height = (max(1, int(length / scale.factor)) for length in size_px)
    sides = min(side_px, width), min(side_px, height)
    bins = _bins(width, height, sides, scale)
    share = _share(tissue, objects, bins, spec)
    measured = [_measure(term, share) for term in terms(objects, tissue, bins, spec, weights)]
    weight = sum(found.term.weight for found in measured)
    if not weight:
        return []
    doubt = sum((found.term.weight * found.value for found in measured), np.zeros(1)) / weight
    scores = np.round(_windows(share) / _BINS_PER_SIDE**2 * doubt, _DECIMALS)
    return [
        Proposal(
            Region(int(column * bins.width_px), int(row * bins.height_px), *sides),
            float(scores[row, column]),
            _reasons(measured, row, column),
        )
        for row, column in _best(scores, n)
    ]


def _bins(width: int, height: int, sides: tuple[int, int], scale: Scale) -> Bins:
    across, down = sides[0] / _BINS_PER_SIDE, sides[1] / _BINS_PER_SIDE
    return Bins(across, down, width * _BINS_PER_SIDE // sides[0], height * _BINS_PER_SIDE // sides[1], scale)


def _share(tissue: pa.Table, objects: pa.Table, bins: Bins, spec: TaskSpec) -> Float:
    """Tissue per bin; bins with objects where the model has no tissue classes."""
    if spec.patch is not None:
        return tissue_share(tissue, bins, spec)
    x, y = (np.asarray(objects[axis].to_numpy(), np.float64) for axis in ("x", "y"))
    return np.minimum(bins.sums(x, y, np.ones(len(x))), 1.0)


def _measure(term: Term, share: Float) -> _Measured:
    total, count = _windows(term.total), _windows(term.count)
    mean = float(term.total.sum() / term.count.sum())
    windows_of_tissue = max(1.0, float(share.sum()) / _BINS_PER_SIDE**2)
    prior = max(1.0, _PRIOR_WINDOWS * float(term.count.sum()) / windows_of_tissue)
    return _Measured(term, mean, (total + prior * mean) / (count + prior))


def _windows(values: Float) -> Float:
    """Sums over squares of bins, one for each that lies within the grid."""
    k = _BINS_PER_SIDE
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    windows: Float = sums[k:, k:] - sums[:-k, k:] - sums[k:, :-k] + sums[:-k, :-k]
    return windows


def _best(scores: Float, n: int) -> list[tuple[int, int]]:
    """Rows and columns of the best windows that do not overlap and have a score above 0."""
    left: npt.NDArray[np.float64] = scores.copy()
    chosen: list[tuple[int, int]] = []
    while len(chosen) < n and left.size:
        row, column = (int(place) for place in np.unravel_index(int(np.argmax(left)), left.shape))
        if left[row, column] <= 0:
            break
        chosen.append((row, column))
        reach = _BINS_PER_SIDE - 1
        left[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = 0
    return chosen


def _reasons(measured: Sequence[_Measured], row: int, column: int) -> tuple[str, ...]:
    """The terms that exceed the slide's mean, the largest excess first; else the largest term."""
    excess = [found.term.weight * (float(found.value[row, column]) - found.mean) for found in measured]
    order = sorted(range(len(measured)), key=lambda i: -excess[i])
    above = [i for i in order if excess[i] >= 0.005][:_MOST_REASONS]
    if not above:
        above = [max(order, key=lambda i: measured[i].term.weight * float(measured[i].value[row, column]))]
    return tuple(
        f"{measured[i].term.words} ({float(measured[i].value[row, column]):.2f}, "
        f"slide {measured[i].mean:.2f})"
        for i in above
    )
