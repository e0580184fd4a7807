"""Objects of a slide, tile by tile, equal to those of the whole.

Objects depend on each other within *units* only (see `watershed` and `grow`). Units that end within a tile
are computed there, on the tile with a halo. Units that go on beyond its border are joined across tiles
(`seams`); as soon as all tiles that hold a part of one are there, it is computed once, on its whole bounding
box, however large. Whatever lies in its holes lies in that box as well; its maps are final by then where
tiles are added in raster order. Work is linear in pixels and objects, and what is kept between tiles is what
is cut and unfinished.

Tiles, sizes and results are in working pixels; all else here is in pixels of the task's maps, which are
`maps.factor` times larger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Protocol

import numpy as np

from histocerb.core.geometry import Region
from histocerb.core.instances import InstanceTable
from histocerb.core.tasks import Task
from histocerb.postproc.arrays import I32, I64, Bool
from histocerb.postproc.components import reached
from histocerb.postproc.maps import TaskMaps, factor
from histocerb.postproc.seams import CutUnit, Group, Place, Seams
from histocerb.postproc.segmenter import Segmenter, find_objects
from histocerb.postproc.table import Frame

_BATCH_PX = 256
"""Cut units whose centres lie in one square of this side are computed together; tile borders that are
multiples of it lie in the middle of squares."""


class MapSource(Protocol):
    """Maps of a slide by region."""

    def read(self, region: Region) -> TaskMaps:
        """Maps of a region, which lies within the slide, in pixels of the task's maps."""
        ...


class Stitcher:
    """Finds the objects of one task, tile by tile in any order.

    A tile may be added as soon as its maps, those of the `halo_px` around it, and those of all tiles before
    it in raster order are final. Tiles must not overlap; one whose maps are zero may be left out. Several
    threads may add tiles at a time. Between tiles its state can be stored.

    Attributes:
        bounds: the slide in pixels of the task's maps.
        halo_px: context that is read around tiles, in pixels of the task's maps.
    """

    def __init__(self, task: Task, size: tuple[int, int], source: MapSource) -> None:
        """Begin without tiles.

        Args:
            task: a task that finds objects.
            size: width and height of the slide at the working resolution.
            source: gives the maps.
        """
        if task.postproc is None:
            raise ValueError(f"task {task.name} finds no objects")
        self._task = task
        self._size = size
        self._source = source
        self._by = factor(task.postproc)
        self._segmenter = Segmenter(task.postproc)
        self._seams = Seams()
        self._lock = Lock()
        self.bounds = self._at_task(Region(0, 0, *size))
        self.halo_px = self._segmenter.halo_px

    def add_tile(self, tile: Region) -> InstanceTable:
        """Take one tile.

        Args:
            tile: in working pixels.

        Returns:
            The objects that are finished by it, in working pixels of the slide, in no particular order.
        """
        core = self._at_task(tile).intersect(self.bounds)
        if core.is_empty:
            return InstanceTable.empty(self._task.kind, self._task.classes)
        crop = core.grow(self.halo_px).intersect(self.bounds)
        maps = self._source.read(crop)
        mask = self._segmenter.units(maps)
        cut, units = self._cut_units(mask, core, crop)
        wanted = np.zeros(maps.shape, np.bool_)
        wanted[core.slices(crop)] = mask[core.slices(crop)] & (units == 0)
        found = self._table(maps, crop, wanted)
        with self._lock:
            groups = self._seams.add(cut)
        return InstanceTable.concat([found, *self._joined(groups)])

    def finish(self) -> Iterator[InstanceTable]:
        """The objects at the border of tiles that were left out; afterwards nothing is open any more."""
        for cluster in _clusters(self._seams.remaining(), self.halo_px):
            yield self._batch_table(cluster)

    def state(self) -> dict[str, I64]:
        """What is open, as plain arrays (for npz); finished objects and the source are not part of it."""
        return self._seams.state()

    def restore(self, state: Mapping[str, I64]) -> None:
        """Continue from a `state` of the same slide, task and tiles."""
        self._seams = Seams.from_state(state)

    def _at_task(self, region: Region) -> Region:
        """In pixels of the task's maps; disjoint regions stay disjoint."""
        x, y, right, bottom = (
            -(-side // self._by) for side in (region.x, region.y, region.right, region.bottom)
        )
        return Region(x, y, right - x, bottom - y)

    def _table(self, maps: TaskMaps, crop: Region, wanted: Bool) -> InstanceTable:
        if not wanted.any():
            return InstanceTable.empty(self._task.kind, self._task.classes)
        frame = Frame(*self._size, self._by, crop.x, crop.y)
        return find_objects(maps, self._task, frame, wanted)

    def _cut_units(self, mask: Bool, core: Region, crop: Region) -> tuple[list[CutUnit], I32]:
        """The units of a tile that go on beyond its border, and their map, numbered from 1."""
        crossings = list(_crossings(mask, core, crop, self.bounds))
        pixels = np.array([(row, column) for row, column, _ in crossings], np.int64).reshape(-1, 2)
        inner = np.ascontiguousarray(mask[core.slices(crop)])
        units, boxes = reached(inner, pixels @ (core.width, 1))
        places: defaultdict[int, list[Place]] = defaultdict(list)
        anchors: dict[int, tuple[int, int]] = {}
        for row, column, place in crossings:
            unit = int(units[row, column])
            places[unit].append(place)
            anchors[unit] = (row + core.y, column + core.x)
        found = [
            CutUnit(_region(box, core), anchors[unit], places[unit])
            for unit, box in enumerate(boxes, start=1)
        ]
        return found, units

    def _joined(self, groups: Sequence[Group]) -> Iterator[InstanceTable]:
        """The objects of complete groups, neighbours together."""
        batches: defaultdict[tuple[int, int], list[Group]] = defaultdict(list)
        for group in groups:
            box = group.box
            if max(box.width, box.height) > _BATCH_PX:
                yield self._batch_table([group])
            else:
                column, row = box.x + box.width // 2, box.y + box.height // 2
                half = _BATCH_PX // 2
                batches[(column + half) // _BATCH_PX, (row + half) // _BATCH_PX].append(group)
        for batch in batches.values():
            yield self._batch_table(batch)

    def _batch_table(self, batch: Sequence[Group]) -> InstanceTable:
        box = batch[0].box
        for group in batch[1:]:
            box = box.union(group.box)
        crop = box.grow(self.halo_px).intersect(self.bounds)
        maps = self._source.read(crop)
        anchors = np.array([group.anchor for group in batch], np.int64) - (crop.y, crop.x)
        units, _ = reached(self._segmenter.units(maps), anchors @ (crop.width, 1))
        return self._table(maps, crop, units > 0)


def _region(box: I64, core: Region) -> Region:
    """The region of a bounding box in a tile."""
    left, top, right, bottom = box.tolist()
    return Region(left, top, right - left, bottom - top).shift(core.x, core.y)


def _clusters(groups: Sequence[Group], reach_px: int) -> list[list[Group]]:
    """Groups near each other together: what joins them may lie in a tile that was left out."""
    clusters: list[tuple[Region, list[Group]]] = []
    for group in groups:
        box, members = group.box.grow(reach_px), [group]
        near = [cluster for cluster in clusters if not cluster[0].intersect(box).is_empty]
        clusters = [cluster for cluster in clusters if cluster[0].intersect(box).is_empty]
        for other, others in near:
            box, members = box.union(other), members + others
        clusters.append((box, members))
    return [members for _, members in clusters]


def _crossings(mask: Bool, core: Region, crop: Region, bounds: Region) -> Iterator[tuple[int, int, Place]]:
    """Pixels of a tile that go on beyond its border: row and column in the tile, and the place.

    Args:
        mask: pixels of all units in `crop`.
        core: the tile.
        crop: the tile with its halo.
        bounds: the slide.
    """
    vertical = ((core.y, -1, core.y > bounds.y), (core.bottom - 1, 1, core.bottom < bounds.bottom))
    for row, step, is_inner in vertical:
        if is_inner:
            ends = mask[row - crop.y] & mask[row + step - crop.y]
            for column in np.flatnonzero(ends[core.x - crop.x :][: core.width]).tolist():
                yield row - core.y, column, (0, max(row, row + step), core.x + column)
    horizontal = ((core.x, -1, core.x > bounds.x), (core.right - 1, 1, core.right < bounds.right))
    for column, step, is_inner in horizontal:
        if is_inner:
            ends = mask[:, column - crop.x] & mask[:, column + step - crop.x]
            for row in np.flatnonzero(ends[core.y - crop.y :][: core.height]).tolist():
                yield row, column - core.x, (1, max(column, column + step), core.y + row)
