"""The stages of one slide, from tissue mask to picture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.analysis.objects import Scale
from histocerb.analysis.summary import Counts, densities, tissue_areas_mm2
from histocerb.analysis.tissue import TissueCells
from histocerb.core.geometry import MARGIN_PX, Region, Window, WindowGrid
from histocerb.core.memory import peak_memory_mb
from histocerb.inference import kept_maps
from histocerb.inference.canvas import Canvas
from histocerb.inference.found import ObjectFinder
from histocerb.inference.manifest import Manifest, RunningModel
from histocerb.inference.overview import OVERVIEW_FILE, Overview
from histocerb.inference.pipeline import StageClock, Stages, WorkSettings, run_windows
from histocerb.inference.progress import Progress, Stage
from histocerb.inference.protocol import HeadMaps
from histocerb.inference.tables import OBJECTS_FILE, TISSUE_FILE, FoundObjects, write_objects, write_tissue
from histocerb.inference.tiles import TileTracker
from histocerb.inference.windows import tissue_windows, window_image
from histocerb.slides.reader import Slide, working_mpp
from histocerb.slides.tissue import tissue_mask

_LOG = logging.getLogger(__name__)


class SlideRun:
    """The work on one slide.

    Attributes:
        work_folder: maps of its windows, and which are complete.
        clock: seconds per stage so far.
    """

    def __init__(
        self,
        slide: Slide,
        model: RunningModel,
        work_folder: Path,
        settings: WorkSettings,
        progress: Progress,
    ) -> None:
        self._slide, self._model = slide, model
        self.work_folder = work_folder
        self._settings, self._progress = settings, progress
        self._mpp = working_mpp(slide.mpp)
        self._grid = WindowGrid.of(*slide.size_at(self._mpp))
        self._seen_mm2 = 0.0
        self.clock = StageClock()

    def finish(self, begun: Manifest, made: Path, check: Callable[[], None]) -> Manifest:
        """Do everything that is not done yet.

        Args:
            begun: the manifest so far.
            made: empty folder for objects, tables and picture.
            check: called before each window is stored; raises when the slide is no longer in this work.

        Returns:
            The manifest with what was found, its status unchanged.

        Raises:
            DamagedMapsError: maps changed after they were written; when called again it computes them anew.
        """
        self._seen_mm2 = 0.0
        with self.clock.measure("tissue"):
            mask = tissue_mask(self._slide)
            windows = tissue_windows(self._grid, mask)
        cache_bytes = self._settings.cache_mb << 20
        canvas = Canvas(self.work_folder, self._model.spec, self._grid, cache_bytes)
        tracker = TileTracker(self._grid, windows, self._settings.tile_windows)
        tiles = tracker.tiles()

        def tell(done: int) -> None:
            self._tell(Stage.TILES, done, len(tiles))

        with closing(ObjectFinder(self._model.spec, canvas, made)) as finder:
            self._predict(canvas, windows, tracker, finder, check)
            tell(0)
            with self.clock.measure("objects"):
                finder.finish(tiles, tell, self._settings.settling_threads)
            manifest = self._write(canvas, finder, begun, made)
        if self._settings.keep_maps:
            with self.clock.measure("store"):
                kept_maps.complete(canvas, begun)
        return replace(
            manifest,
            tissue_area_mm2=mask.area_mm2,
            densities_per_mm2=densities(manifest.counts, mask.area_mm2),
            windows=len(windows),
            seconds={stage: round(spent, 3) for stage, spent in self.clock.seconds.items()},
            peak_memory_mb=round(peak_memory_mb(), 1),
        )

    def _predict(
        self,
        canvas: Canvas,
        windows: list[Window],
        tracker: TileTracker,
        finder: ObjectFinder,
        check: Callable[[], None],
    ) -> None:
        """Windows through network and canvas; tiles are settled as they become ready."""
        missing = [window for window in windows if not canvas.is_complete(window)]
        known = [window for window in windows if canvas.is_complete(window)]
        if known:
            _LOG.info("%s: %d of %d windows taken up", self._slide.path, len(known), len(windows))
        for window in known:
            self._seen(window)
        ready = [tile for window in known for tile in tracker.complete(window)]
        done = len(known)

        def read(window: Window) -> npt.NDArray[np.uint8]:
            with self.clock.measure("read"):
                return window_image(self._slide, self._mpp, self._grid, window)

        def predict(image: npt.NDArray[np.uint8]) -> HeadMaps:
            with self.clock.measure("network"):
                return self._model.predictor.predict(image, MARGIN_PX)

        def store(window: Window, maps: HeadMaps) -> list[Region]:
            nonlocal done
            with self.clock.measure("store"):
                check()
                canvas.write(window, maps)
            done += 1
            self._seen(window)
            self._tell(Stage.WINDOWS, done, len(windows))
            return tracker.complete(window)

        def settle(tile: Region) -> None:
            with self.clock.measure("objects"):
                finder.settle(tile)

        self._tell(Stage.WINDOWS, done, len(windows))
        stages = Stages(read, predict, store, settle, self._model.parallel)
        run_windows(missing, ready, stages, self._settings)

    def _write(self, canvas: Canvas, finder: ObjectFinder, begun: Manifest, folder: Path) -> Manifest:
        """Tables and picture; counts and areas go into the manifest."""
        spec = self._model.spec
        cells = TissueCells((), np.zeros((0, 0, 0), np.float32))
        if spec.patch is not None:
            cells = TissueCells(spec.patch.classes, canvas.tissue(spec.patch.heads[0].name))
        scale = Scale(self._slide.mpp, self._mpp)
        found = FoundObjects(spec, finder.spills, finder.containers, cells, scale)
        with self.clock.measure("tables"):
            tissue = write_tissue(folder / TISSUE_FILE, found)
            overview = Overview(self._slide, tissue, spec)
            counts = self._write_objects(folder / OBJECTS_FILE, found, overview)
        with self.clock.measure("overview"):
            overview.write(folder / OVERVIEW_FILE, counts)
        areas = tissue_areas_mm2(tissue, self._slide.mpp)
        return replace(begun, counts=counts, tissue_classes_mm2=areas)

    def _write_objects(self, path: Path, found: FoundObjects, overview: Overview) -> Counts:
        total = sum(len(spill) for spill in found.spills.values())
        done = 0

        def progress(rows: int) -> None:
            nonlocal done
            done += rows
            self._tell(Stage.OBJECTS, done, total)

        def draw(rows: pa.Table) -> None:
            with self.clock.measure("overview"):
                overview.draw(rows)

        progress(0)
        return write_objects(path, found, progress, draw)

    def _seen(self, window: Window) -> None:
        area = window.output.intersect(self._grid.bounds)
        self._seen_mm2 += area.width * area.height * (self._mpp / 1000) ** 2

    def _tell(self, stage: Stage, done: int, total: int) -> None:
        self._progress(stage, done, total, self._seen_mm2)
