"""Objects of all kinds of a slide, tile by tile as maps become ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from histocerb.analysis.objects import container_task
from histocerb.core.geometry import Region
from histocerb.core.tasks import HeadKind, Task, TaskSpec
from histocerb.inference.canvas import Canvas
from histocerb.inference.containers import ContainerMap
from histocerb.inference.spill import Spill
from histocerb.postproc.blocks import Stitcher
from histocerb.postproc.maps import TaskMaps, factor


@dataclass(frozen=True)
class CanvasMaps:
    """Maps of one task, read from the canvas (a `postproc.blocks.MapSource`).

    Attributes:
        canvas: the maps.
        task: a task that finds objects.
        containers: labels of the objects in which these must lie, or None: anywhere.
    """

    canvas: Canvas
    task: Task
    containers: ContainerMap | None

    def read(self, region: Region) -> TaskMaps:
        """Maps of a region in pixels of the task."""
        instance, types = self.task.head(HeadKind.INSTANCE), self.task.head(HeadKind.TYPE)
        if instance is None:
            raise ValueError(f"task {self.task.name} has no instance head")
        found = self.canvas.read(instance.name, region)
        return TaskMaps(
            inside=np.ascontiguousarray(found[..., 0]),
            contour=np.ascontiguousarray(found[..., 1]),
            types=None if types is None else self.canvas.read(types.name, region),
            container=None if self.containers is None else self._inside(self.containers, region),
        )

    def _inside(self, containers: ContainerMap, region: Region) -> npt.NDArray[np.bool_]:
        """Pixels of a region that lie in a container, whose map may have another resolution."""
        by = _factor(self.task)
        rows = np.arange(region.y, region.bottom) * by // containers.factor
        columns = np.arange(region.x, region.right) * by // containers.factor
        x, y = int(columns[0]), int(rows[0])
        labels = containers.read(Region(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y))
        return np.ascontiguousarray((labels > 0)[rows - y][:, columns - x])


class ObjectFinder:
    """Stitchers and spills of all tasks that find objects.

    Tasks that lie in no other are worked on while windows arrive; those within containers (lumina in glands)
    when the containers are known.

    Attributes:
        spills: per task name, the finished objects.
        containers: label map of the containing objects, once they are known.
    """

    def __init__(self, spec: TaskSpec, canvas: Canvas, folder: Path) -> None:
        self._canvas = canvas
        self._spec = spec
        self.containers: ContainerMap | None = None
        self.spills = {
            task.name: Spill(folder / f"{task.name}.arrow", task.kind, task.classes) for task in spec.objects
        }
        self._stitchers = {
            task.name: self._stitcher(task) for task in spec.objects if not self._is_held(task)
        }

    def settle(self, tile: Region) -> None:
        """Find the free objects of a tile whose maps, and those of the windows around it, are complete.

        Several threads may settle tiles at a time.
        """
        for name, stitcher in self._stitchers.items():
            self.spills[name].add(stitcher.add_tile(tile))

    def finish(self, tiles: Sequence[Region], progress: Callable[[int], None], threads: int = 1) -> None:
        """When every tile is settled: what is left, then the objects within containers.

        Args:
            tiles: all tiles, again.
            progress: called with the number of tiles that are done.
            threads: that settle them.
        """
        self._seal()
        container = container_task(self._spec)
        if container is not None:
            self.containers = ContainerMap(self.spills[container.name], _factor(container))
        self._stitchers = {
            task.name: self._stitcher(task) for task in self._spec.objects if self._is_held(task)
        }
        with ThreadPoolExecutor(threads, "histocerb-settle") as settlers:
            for number, future in enumerate([settlers.submit(self.settle, tile) for tile in tiles]):
                try:
                    future.result()
                except BaseException:
                    settlers.shutdown(cancel_futures=True)
                    raise
                progress(number + 1)
        self._seal()

    def close(self) -> None:
        """Let go of files."""
        for spill in self.spills.values():
            spill.close()

    def _stitcher(self, task: Task) -> Stitcher:
        source = CanvasMaps(self._canvas, task, self.containers if self._is_held(task) else None)
        return Stitcher(task, (self._canvas.grid.width, self._canvas.grid.height), source)

    def _is_held(self, task: Task) -> bool:
        """True where its objects lie in those of another task, which have to be known first."""
        return self._spec.container_of(task) is not None

    def _seal(self) -> None:
        for name, stitcher in self._stitchers.items():
            for table in stitcher.finish():
                self.spills[name].add(table)
            self.spills[name].seal()


def _factor(task: Task) -> int:
    return factor(task.postproc) if task.postproc else 1
