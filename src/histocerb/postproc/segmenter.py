"""One face for both ways of finding objects, and the table of those that are wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histocerb.core.instances import InstanceTable
from histocerb.core.tasks import Grouping, PostprocParams, Task
from histocerb.postproc import grow, watershed
from histocerb.postproc.arrays import I32, I64, Bool
from histocerb.postproc.components import renumber
from histocerb.postproc.maps import TaskMaps
from histocerb.postproc.table import Frame, measure


@dataclass(frozen=True)
class Labelled:
    """Objects as a label map.

    Attributes:
        labels: H x W int32, 1..N in raster order of first pixels, each one 4-connected region; 0 elsewhere.
        anchors: N int64, flat index of a pixel of the unit that decided about the object.
    """

    labels: I32
    anchors: I64


@dataclass(frozen=True)
class Segmenter:
    """How the objects of one kind are found, at the resolution of their task.

    Objects depend on each other only within a *unit*, a 4-connected component of `units`, and on what lies
    in its holes.
    """

    params: PostprocParams

    @property
    def halo_px(self) -> int:
        """Context around a region in which `units` and `label` are right for all units that lie in it.

        With it `units` is right in the ring of pixels around the region, too.
        """
        reach = watershed.REACH_PX if self._watershed else grow.reach_px(self.params)
        return 2 * reach + 2

    def units(self, maps: TaskMaps) -> Bool:
        """H x W bool, the pixels of all units."""
        return (
            watershed.unit_mask(maps, self.params) if self._watershed else grow.unit_mask(maps, self.params)
        )

    def label(self, maps: TaskMaps) -> Labelled:
        """All objects of the maps."""
        if not self._watershed:
            return Labelled(*grow.label_objects(maps, self.params))
        return Labelled(*watershed.label_objects(maps, self.params))

    @property
    def _watershed(self) -> bool:
        return self.params.grouping is Grouping.WATERSHED


def find_objects(maps: TaskMaps, task: Task, frame: Frame, wanted: Bool | None = None) -> InstanceTable:
    """Rows in raster order of first pixels, in pixels of the image.

    Args:
        maps: a part of the image, or all of it.
        task: a task that finds objects.
        frame: where the maps lie in the image.
        wanted: H x W bool, pixels of the units whose objects are wanted; None: all.
    """
    if task.postproc is None:
        raise ValueError(f"task {task.name} finds no objects")
    found = Segmenter(task.postproc).label(maps)
    labels, count = found.labels, len(found.anchors)
    if wanted is not None:
        labels, kept = renumber(labels, np.append(False, wanted.ravel()[found.anchors]))
        count = len(kept)
    return measure(labels, count, maps, task, frame)
