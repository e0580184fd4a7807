"""Regions that hold several surer ones give way to these: what touches has an unsure border, not none."""

from __future__ import annotations

import numpy as np

from histocerb.core.compiled import compiled
from histocerb.core.tasks import PostprocParams
from histocerb.postproc.arrays import I32, U8, Bool
from histocerb.postproc.components import large_regions
from histocerb.postproc.maps import cutoff


def split(labels: I32, count: int, inside: U8, params: PostprocParams) -> tuple[I32, int]:
    """Replace regions by the surer parts that they hold, one threshold after another.

    With q1 the bytes of inside and ds the task's `downsample`: for each t of `split_thresholds`, a region
    of which two or more 4-connected parts of at least `split_px` ds^2 pixels have q1 > 255 t is replaced by
    these; any other stays whole. Regions do not affect each other.

    Args:
        labels: H x W, regions 1..count.
        count: how many there are.
        inside: H x W bytes.
        params: of the task.

    Returns:
        The map, where nothing is left of what was replaced but its parts, which have numbers above `count`;
        and the highest number.
    """
    least_px = params.split_px * params.downsample**2
    for threshold in params.split_thresholds:
        parts, first = large_regions(_above(labels, inside, cutoff(threshold)), least_px)
        owner = labels.ravel()[first]
        several = np.bincount(owner, minlength=count + 1) > 1
        if several.any():
            numbers = np.where(several[owner], np.arange(count + 1, count + 1 + len(first)), 0)
            labels = _replaced(labels, several, parts, np.append(0, numbers).astype(np.int32))
            count += len(first)
    return labels, count


@compiled
def _above(labels: I32, inside: U8, least: int) -> I32:
    """The labels where `inside` is above a byte, 0 elsewhere."""
    surer = np.zeros_like(labels)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            if inside[row, column] > least:
                surer[row, column] = labels[row, column]
    return surer


@compiled
def _replaced(labels: I32, several: Bool, parts: I32, numbers: I32) -> I32:
    """The map with the new numbers of parts instead of the labels marked in `several`."""
    replaced = labels.copy()
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            if several[labels[row, column]]:
                replaced[row, column] = numbers[parts[row, column]]
    return replaced
