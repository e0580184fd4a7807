"""What a process does for a slide: all of it, or on a cluster look at it, compute a shard, finish it.

A large slide is cut into shards, groups of its windows. Nodes compute their maps into pieces beside the
results (`pieces`); who finishes the slide takes them up as windows that are done, and goes on as after an
interruption. The bytes are those of one process, since windows are the same and what follows sees the same
maps.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from histocerb._version import __version__
from histocerb.core.errors import InWorkError, UsageError
from histocerb.core.geometry import MARGIN_PX, Region, Window, WindowGrid
from histocerb.inference import work
from histocerb.inference.canvas import Canvas
from histocerb.inference.cluster import pieces
from histocerb.inference.cluster.publish import HowToWork, finished, segment_into_store
from histocerb.inference.cluster.source import ask_source, remember_source, unchanged
from histocerb.inference.cluster.store import Store
from histocerb.inference.cohort.slides import CohortSlide
from histocerb.inference.kept_maps import are_kept
from histocerb.inference.lease import TERMS
from histocerb.inference.ledger import Place as WindowPlace
from histocerb.inference.manifest import Manifest, RunningModel, describe
from histocerb.inference.pipeline import Stages, WorkSettings, run_windows
from histocerb.inference.progress import Progress, no_progress
from histocerb.inference.protocol import HeadMaps
from histocerb.inference.slide import SlideResult, segment_slide
from histocerb.inference.windows import tissue_windows, window_image
from histocerb.slides.reader import Slide, open_slide, working_mpp
from histocerb.slides.remote import Place, RemoteFile
from histocerb.slides.staging import Cache
from histocerb.slides.tissue import tissue_mask

_PATIENCE_S = TERMS.expiry_s + 3 * TERMS.refresh_s
_ASK_AGAIN_S = 5.0

Shard = tuple[WindowPlace, ...]
"""(column, row) of windows."""


@dataclass(frozen=True)
class ModelOnNodes:
    """A model as nodes get it.

    Attributes:
        load: loads it; the same object for the same model, and picklable.
        sha256: of its weights, as the driver knows them.
        version: of histocerb at the driver.
    """

    load: Callable[[], RunningModel]
    sha256: str
    version: str = __version__


@dataclass(frozen=True)
class Job:
    """One slide of a cluster's work; picklable.

    Attributes:
        slide: which.
        out: folder of all results, which all nodes see.
        model: what segments it.
        settings: how the work is laid out.
        overwrite: replace a complete result.
        cache: where slides that have a URL are copied to.
        shard_windows: windows of a shard; slides with fewer are not cut.
    """

    slide: CohortSlide
    out: Place
    model: ModelOnNodes
    settings: WorkSettings
    overwrite: bool
    cache: Cache
    shard_windows: int

    @property
    def folder(self) -> Store:
        """Where its results are; a folder on a disk, too, has a URL, with every sign as it is for fsspec."""
        if isinstance(self.out, RemoteFile):
            return Store(self.out / self.slide.name)
        return Store(RemoteFile(f"file://{(self.out / self.slide.name).absolute().as_posix()}"))

    def opened(self) -> Slide:
        """The slide."""
        return open_slide(self.slide.path, self.slide.mpp, self.cache)


@lru_cache(maxsize=1)
def loaded(model: ModelOnNodes) -> RunningModel:
    """The model in this process; a worker of Ray keeps it from task to task.

    Raises:
        UsageError: This node has other weights or another histocerb than the driver.
    """
    if model.version != __version__:
        raise UsageError(
            f"expected histocerb {model.version} on every node, as where the command was called, found "
            f"{__version__}; install the same version everywhere"
        )
    running = model.load()
    if running.sha256 != model.sha256:
        raise UsageError(
            f"expected the weights {model.sha256[:12]} on every node, found {running.sha256[:12]}; put the "
            "checkpoint where all nodes see the same"
        )
    return running


def whole(job: Job, *, again: bool = False, progress: Progress = no_progress) -> SlideResult:
    """Do all of a slide in this process; see `finish`."""
    earlier = _unchanged(job)
    return earlier if earlier is not None else finish(job, again=again, progress=progress)


def begin(job: Job, *, again: bool = False) -> SlideResult | tuple[Shard, ...]:
    """Look at a slide, and do all of it unless it is large.

    Returns:
        The result, or the shards that are to be computed before it can be finished.
    """
    earlier = _unchanged(job)
    if earlier is not None:
        return earlier
    said = ask_source(job.slide)
    with closing(job.opened()) as slide:
        begun = describe(slide, loaded(job.model))
        earlier = _finished(job, begun.key)
        if earlier is not None:
            remember_source(said, job.folder)
            return earlier
        shards = _shards(slide, job.shard_windows)
    if len(shards) < 2:
        return finish(job, again=again)
    folder = _pieces(job, begun.key)
    return tuple(shard for shard in shards if not pieces.has(folder, _name(shard)))


def compute(job: Job, shard: Shard) -> None:
    """Compute the windows of a shard, and leave them as a piece beside the results."""
    model = loaded(job.model)
    with closing(job.opened()) as slide, tempfile.TemporaryDirectory(prefix="histocerb-shard-") as place:
        folder = _pieces(job, describe(slide, model).key)
        if pieces.has(folder, _name(shard)):
            return
        work_folder = Path(place)
        compute_windows(slide, model, work_folder, shard, job.settings)
        pieces.send(work_folder, pieces.markers(work_folder), folder, _name(shard))


def compute_windows(
    slide: Slide, model: RunningModel, work_folder: Path, shard: Shard, settings: WorkSettings
) -> None:
    """Compute some windows of a slide into a work folder, and nothing else."""
    grid, mpp = _grid(slide), working_mpp(slide.mpp)
    canvas = Canvas(work_folder, model.spec, grid)

    def store(window: Window, maps: HeadMaps) -> list[Region]:
        canvas.write(window, maps)
        return []

    stages = Stages(
        read=lambda window: window_image(slide, mpp, grid, window),
        predict=lambda image: model.predictor.predict(image, MARGIN_PX),
        store=store,
        settle=lambda _: None,
        parallel=model.parallel,
    )
    run_windows([grid.window(*place) for place in shard], [], stages, settings)


def finish(job: Job, *, again: bool = False, progress: Progress = no_progress) -> SlideResult:
    """Do what is left of a slide, and publish it.

    Args:
        job: which.
        again: the node of an earlier attempt was lost; its lease may hold for a while, and is waited for.
        progress: told how far it is.
    """
    until_s = time.monotonic() + (_PATIENCE_S if again else 0.0)
    while True:
        try:
            return _finish(job, progress)
        except InWorkError:
            if time.monotonic() > until_s:
                raise
        time.sleep(_ASK_AGAIN_S)


def _finish(job: Job, progress: Progress) -> SlideResult:
    said = ask_source(job.slide)
    with closing(job.opened()) as slide:
        result = _segment(job, slide, progress)
    remember_source(said, job.folder)
    return result


def _segment(job: Job, slide: Slide, progress: Progress) -> SlideResult:
    model, folder = loaded(job.model), job.folder
    if isinstance(job.out, RemoteFile):
        how = HowToWork(job.settings, job.overwrite, progress=progress)
        return segment_into_store(slide, model, folder, how)
    key = describe(slide, model).key

    def take_up(work_folder: Path) -> None:
        pieces.take_up(_pieces(job, key), work_folder)

    result = segment_slide(
        slide,
        model,
        job.out / job.slide.name,
        job.settings,
        overwrite=job.overwrite,
        progress=progress,
        take_up=take_up,
    )
    pieces.discard(folder)
    return result


def _shards(slide: Slide, windows: int) -> list[Shard]:
    """All windows with tissue, in groups."""
    places = [(window.column, window.row) for window in tissue_windows(_grid(slide), tissue_mask(slide))]
    return [tuple(places[first : first + windows]) for first in range(0, len(places), windows)]


def _unchanged(job: Job) -> SlideResult | None:
    folder = job.out / job.slide.name
    manifest = None if job.overwrite else unchanged(job.slide, loaded(job.model), job.folder)
    if manifest is None:
        return None
    if job.settings.keep_maps and isinstance(folder, Path) and not are_kept(folder, manifest.key):
        return None
    return _skipped(job, manifest)


def _finished(job: Job, key: str) -> SlideResult | None:
    folder: Place = job.out / job.slide.name
    if isinstance(folder, RemoteFile):
        manifest = finished(Store(folder), key, overwrite=job.overwrite)
    else:
        keep_maps = job.settings.keep_maps
        manifest = work.finished(folder, key, overwrite=job.overwrite, with_maps=keep_maps)
    return None if manifest is None else _skipped(job, manifest)


def _skipped(job: Job, manifest: Manifest) -> SlideResult:
    """A result that was there; see `publish.segment_into_store`."""
    pieces.discard_of(job.folder, manifest.key)
    return SlideResult(job.out / job.slide.name, manifest, skipped=True)


def _grid(slide: Slide) -> WindowGrid:
    return WindowGrid.of(*slide.size_at(working_mpp(slide.mpp)))


def _pieces(job: Job, key: str) -> Store:
    return job.folder / pieces.pieces_folder(key)


def _name(shard: Shard) -> str:
    """The same for the same windows."""
    return f"shard-{shard[0][1]}-{shard[0][0]}-{len(shard)}-{zlib.crc32(repr(shard).encode()):08x}"
