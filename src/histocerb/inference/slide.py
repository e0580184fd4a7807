"""Predict one slide: windows, maps, objects, tables and picture."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from histocerb.analysis.objects import read_objects
from histocerb.analysis.tissue import read_tissue
from histocerb.inference import work
from histocerb.inference.manifest import Manifest, RunningModel, Status, describe, write_manifest
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.progress import Progress, no_progress
from histocerb.inference.run import SlideRun
from histocerb.inference.tables import OBJECTS_FILE, TISSUE_FILE
from histocerb.slides.reader import Slide


@dataclass(frozen=True)
class SlideResult:
    """A complete result folder.

    Attributes:
        folder: where it is.
        manifest: what was done.
        skipped: True when an earlier run had made it.
    """

    folder: Path
    manifest: Manifest
    skipped: bool = False

    @cached_property
    def objects(self) -> pa.Table:
        """Rows of `objects.parquet`."""
        return read_objects(self.folder / OBJECTS_FILE)

    @cached_property
    def tissue(self) -> pa.Table:
        """Rows of `tissue.parquet`."""
        return read_tissue(self.folder / TISSUE_FILE)


def segment_slide(
    slide: Slide,
    model: RunningModel,
    folder: Path,
    settings: WorkSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> SlideResult:
    """Find everything on a slide and write its result folder.

    The result is a function of the slide, the weights and the tasks only. A folder that is complete is not
    computed again; windows that an interrupted run left are taken up.

    Args:
        slide: what to segment.
        model: network, tasks and device.
        folder: result folder of this slide; created when missing.
        settings: how the work is laid out.
        overwrite: replace a complete result, be it of the same or of other inputs.
        progress: told how far it is.

    Raises:
        OutputError: The folder holds another result, cannot be written, or its disk is full.
        SlideError: The slide cannot be read.
    """
    begun = describe(slide, model)
    earlier = work.finished(folder, begun.key, overwrite=overwrite)
    if earlier is not None:
        shutil.rmtree(folder / work.WORK_FOLDER, ignore_errors=True)
        return SlideResult(folder, earlier, skipped=True)
    with work.writing(folder):
        try:
            work_folder = work.begin(folder, begun.key)
            write_manifest(folder, begun)
            run = SlideRun(slide, model, folder, work_folder, settings or WorkSettings(), progress)
            manifest = replace(run.finish(begun), status=Status.DONE)
            write_manifest(folder, manifest)
        except Exception as error:
            with suppress(OSError):
                write_manifest(folder, replace(begun, status=Status.FAILED, error=str(error)))
            raise
        shutil.rmtree(work_folder, ignore_errors=True)
    return SlideResult(folder, manifest)
