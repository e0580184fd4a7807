"""From head maps to tables of objects, for a whole image.

What is computed stands in `watershed` (nuclei), `grow` (glands, lumina), `table` (what is measured) and
`maps` (quantisation and resolution). All of it is a function of the maps alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import UsageError
from histocerb.core.geometry import Region, tiles
from histocerb.core.instances import InstanceTable
from histocerb.core.tasks import HeadKind, Task, TaskSpec
from histocerb.postproc.blocks import Stitcher
from histocerb.postproc.maps import TaskMaps, factor, task_maps
from histocerb.postproc.segmenter import find_objects
from histocerb.postproc.table import Frame

_PIECE_PX = 1024
"""Larger images are computed in pieces of this side, which stay in the processor's caches."""


def postprocess(maps: Mapping[str, npt.NDArray[np.generic]], spec: TaskSpec) -> dict[str, InstanceTable]:
    """Find all objects of an image.

    Args:
        maps: by head name, H x W x channels probabilities (float, or bytes 0..255); type maps may be H x W
            class numbers. All at the working resolution and of one image. Heads that are missing are left
            out: a task without instance map has no table, one without type map no classes, one without its
            container's map is not cut.
        spec: the tasks.

    Returns:
        Tables by task name; rows in raster order of first pixels, lengths in pixels of the maps.

    Raises:
        UsageError: maps of unequal shape, or values that are no probabilities.
    """
    tables: dict[str, InstanceTable] = {}
    shapes: set[tuple[int, ...]] = set()
    for task in spec.objects:
        head = task.head(HeadKind.INSTANCE)
        if head is None or head.name not in maps:
            continue
        shape = np.shape(maps[head.name])[:2]
        shapes.add(shape)
        if len(shapes) > 1 or len(shape) != 2:
            raise UsageError(
                f"Expected maps of one image, found sizes {sorted(shapes)}; "
                "give all of them at the working resolution."
            )
        within = task.postproc.within if task.postproc else None
        container = tables[within].label_image(shape) > 0 if within in tables else None
        tables[task.name] = _whole(task_maps(maps, task, container), task, shape)
    return tables


@dataclass(frozen=True)
class _InMemory:
    """Maps of a whole image as a source of regions."""

    maps: TaskMaps

    def read(self, region: Region) -> TaskMaps:
        return self.maps.cut(region.slices())


def _whole(maps: TaskMaps, task: Task, shape: tuple[int, ...]) -> InstanceTable:
    height, width = shape
    if not height or not width:
        return InstanceTable.empty(task.kind, task.classes)
    assert task.postproc is not None
    by = factor(task.postproc)
    if max(shape) <= 2 * by * _PIECE_PX:
        return find_objects(maps, task, Frame(width, height, by))
    stitcher = Stitcher(task, (width, height), _InMemory(maps))
    found = [stitcher.add_tile(tile) for tile in tiles(Region(0, 0, width, height), by * _PIECE_PX)]
    table = InstanceTable.concat([*found, *stitcher.finish()])
    return table.select(np.lexsort(table.first_px.T[::-1]))
