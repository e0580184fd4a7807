"""How the maps of each head are stored: which channels, and at which resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import Region
from histocerb.core.tasks import CELL_PX, Head, HeadKind, TaskSpec
from histocerb.postproc.maps import factor, reduce_mean


@dataclass(frozen=True)
class Layer:
    """How the maps of one head are stored.

    Attributes:
        head: the head.
        reduction: working pixels per stored pixel: that of its post-processing, or a cell of tissue.
        channels: stored channels; 0 for maps without a channel axis.
    """

    head: Head
    reduction: int
    channels: int


def layers(spec: TaskSpec) -> dict[str, Layer]:
    """Per head name, how it is stored."""
    found = {}
    for task in spec.tasks:
        reduction = factor(task.postproc) if task.postproc else CELL_PX
        for head in task.heads:
            channels = {HeadKind.INSTANCE: 2, HeadKind.TYPE: 0}.get(head.kind, len(head.channels))
            found[head.name] = Layer(head, reduction, channels)
    return found


def stored_maps(
    maps: Mapping[str, npt.NDArray[Any]], stored: Mapping[str, Layer], output: Region, bounds: Region
) -> dict[str, npt.NDArray[Any]]:
    """Maps of one window as they are stored.

    What lies outside the slide is cut off before maps are reduced, so that the mirrored image has no say in
    the last row and column.

    Args:
        maps: per head, as a `Predictor` gives them.
        stored: per head, its layer.
        output: kept part of the window, in working pixels.
        bounds: the slide in working pixels.

    Returns:
        Per head an array of the full size of the window, zero outside the slide: channels first, without
        channels for type heads; all cells of patch heads.
    """
    return {name: _stored(maps[name], layer, output, bounds) for name, layer in stored.items()}


def _stored(values: npt.NDArray[Any], layer: Layer, output: Region, bounds: Region) -> npt.NDArray[Any]:
    if layer.head.kind is HeadKind.PATCH:
        return np.ascontiguousarray(values.transpose(2, 0, 1))
    kept = values[output.intersect(bounds).slices(output)]
    by = layer.reduction
    if layer.head.kind is HeadKind.TYPE:
        reduced = kept[::by, ::by]
    else:
        channels = [reduce_mean(np.ascontiguousarray(kept[..., c]), by) for c in range(layer.channels)]
        reduced = np.stack(channels)
    rows, columns = reduced.shape[-2:]
    missing = [(0, output.height // by - rows), (0, output.width // by - columns)]
    if not any(after for _, after in missing):
        return reduced
    return np.pad(reduced, [*[(0, 0)] * (reduced.ndim - 2), *missing])
