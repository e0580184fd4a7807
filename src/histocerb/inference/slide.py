"""Predict one slide: windows, maps, objects, tables and picture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import pyarrow as pa

from histocerb.analysis.objects import read_objects
from histocerb.analysis.tissue import read_tissue
from histocerb.core.errors import OutputError
from histocerb.inference import kept_maps, work
from histocerb.inference.canvas import DamagedMapsError
from histocerb.inference.lease import Lease
from histocerb.inference.manifest import Manifest, RunningModel, Status, describe, write_manifest
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.progress import Progress, no_progress
from histocerb.inference.run import SlideRun
from histocerb.inference.tables import OBJECTS_FILE, TISSUE_FILE
from histocerb.slides.reader import Slide
from histocerb.slides.remote import Place

_LOG = logging.getLogger(__name__)

_TRIES = 3
"""A slide is tried again when maps were damaged after they were written; then the disk is to blame."""


@dataclass(frozen=True)
class SlideResult:
    """A complete result folder.

    Attributes:
        folder: where it is, on this machine or in a store.
        manifest: what was done.
        skipped: True when an earlier run had made it.
    """

    folder: Place
    manifest: Manifest
    skipped: bool = False

    @cached_property
    def objects(self) -> pa.Table:
        """Rows of `objects.parquet`."""
        return read_objects(self._local / OBJECTS_FILE)

    @cached_property
    def tissue(self) -> pa.Table:
        """Rows of `tissue.parquet`."""
        return read_tissue(self._local / TISSUE_FILE)

    @property
    def _local(self) -> Path:
        if isinstance(self.folder, Path):
            return self.folder
        raise OutputError(f"{self.folder}: expected a result on this machine, found a URL; copy it first")


def _nothing(work_folder: Path) -> None:
    """Nothing was done elsewhere."""


def segment_slide(
    slide: Slide,
    model: RunningModel,
    folder: Path,
    settings: WorkSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
    take_up: Callable[[Path], None] = _nothing,
) -> SlideResult:
    """Find everything on a slide and write its result folder.

    The result is a function of the slide, the weights and the tasks only. A folder that is complete is not
    computed again, unless its maps are to be kept and were not; windows that an interrupted run left are
    taken up.

    Args:
        slide: what to segment.
        model: network, tasks and device.
        folder: result folder of this slide; created when missing.
        settings: how the work is laid out.
        overwrite: replace a complete result, be it of the same or of other inputs.
        progress: told how far it is.
        take_up: called with the work folder when work begins, to put in it what was done elsewhere.

    Raises:
        InWorkError: Another process works on this folder, or took it over.
        OutputError: The folder holds another result, cannot be written, or its disk is full.
        SlideError: The slide cannot be read.
    """
    begun = describe(slide, model)
    settings = settings or WorkSettings()
    finished = partial(work.finished, folder, begun.key, overwrite=overwrite, with_maps=settings.keep_maps)
    earlier = finished()
    if earlier is not None:
        work.tidy(folder)
        return SlideResult(folder, earlier, skipped=True)
    with work.writing(folder), work.held(folder) as lease:
        earlier = finished()
        if earlier is not None:  # another process has finished it just now
            return SlideResult(folder, earlier, skipped=True)
        try:
            work_folder = work.begin(folder, begun.key, lease)
            write_manifest(folder, begun)
            take_up(work_folder)
            run = SlideRun(slide, model, work_folder, settings, progress)
            manifest = replace(_finish(run, begun, folder, lease), status=Status.DONE)
            if settings.keep_maps:
                lease.check()
                kept_maps.keep(work_folder, folder)
            write_manifest(folder, manifest)
        except Exception as error:
            with suppress(OSError):
                lease.check()  # who lost the slide says so, and leaves the folder alone
                write_manifest(folder, replace(begun, status=Status.FAILED, error=str(error)))
            raise
        work.end(folder, lease)
    return SlideResult(folder, manifest)


def _finish(run: SlideRun, begun: Manifest, folder: Path, lease: Lease) -> Manifest:
    """Make the results and move them to their place; windows whose maps got damaged are computed again."""
    for left in reversed(range(_TRIES)):
        made = work.new_try(run.work_folder, lease)
        try:
            manifest = run.finish(begun, made, lease.check)
            return replace(manifest, files=work.publish(made, folder, lease))
        except DamagedMapsError as error:
            if not left:
                raise
            _LOG.warning("%s; it is computed again now", error)
    raise AssertionError("the last try returns or raises")
