"""Segment the slides of a plan wherever they, their results and the machines are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from histocerb.core.errors import UsageError
from histocerb.core.geometry import WindowGrid
from histocerb.inference.cluster import tasks
from histocerb.inference.cluster.ray_cluster import Cluster, outcomes
from histocerb.inference.cluster.results import Results
from histocerb.inference.cluster.tasks import Job, ModelOnNodes
from histocerb.inference.cohort.plan import Plan
from histocerb.inference.cohort.run import CohortWatch, Outcome, attempt, segment_cohort
from histocerb.inference.cohort.slides import CohortSlide
from histocerb.inference.manifest import Manifest, RunningModel
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.progress import Stage
from histocerb.slides.remote import Place, RemoteFile
from histocerb.slides.staging import Cache

SHARD_WINDOWS = 64
"""Of 0.5 mm a side: about 16 mm2 of slide."""


@dataclass(frozen=True)
class Where:
    """Places and machines.

    Attributes:
        out: folder of all results.
        cache: where slides that have a URL are copied to; on each node.
        cluster: None: this process does all of the work.
        shard_windows: on a cluster, windows of a shard.
    """

    out: Place
    cache: Cache = field(default_factory=Cache)
    cluster: Cluster | None = None
    shard_windows: int = SHARD_WINDOWS

    @property
    def is_here(self) -> bool:
        """True where this machine does all of the work, and keeps it."""
        return self.cluster is None and isinstance(self.out, Path)


def segment_anywhere(
    plan: Plan,
    model: RunningModel,
    on_nodes: ModelOnNodes,
    results: Results,
    where: Where,
    settings: WorkSettings,
    watch: CohortWatch,
) -> list[Outcome]:
    """Segment the slides of a plan; see `cohort.run.segment_cohort`, which does it for local files.

    Args:
        plan: what is to be done.
        model: network and tasks; without a cluster, what computes.
        on_nodes: the same for the nodes of a cluster.
        results: where the results go, from `results.results_at`.
        where: places and machines.
        settings: how the work is laid out; results do not depend on it.
        watch: told how far it is.

    Returns:
        What became of each slide of the plan, in its order.

    Raises:
        OutputError: The results cannot be written.
        UsageError: There is no such cluster, maps are to be kept in a store, or a carried column is called
            like one of the summary or of the failures.
    """
    if settings.keep_maps and isinstance(where.out, RemoteFile):
        raise UsageError(
            f"expected results on a disk where maps are kept, found {where.out}; give --out a folder, or "
            "leave out --keep-maps"
        )
    if where.is_here and not any(isinstance(slide.path, RemoteFile) for slide in plan.todo):
        return segment_cohort(plan, model, results.folder, settings, watch)
    results.begin(plan, model, settings, "" if where.cluster is None else f"cluster {where.cluster.address}")
    source = on_nodes if where.cluster else ModelOnNodes(lambda: model, model.sha256)
    jobs = [_job(slide, source, where, settings, plan.request.overwrite) for slide in plan.todo]
    found = {}
    for outcome in _here(jobs, watch) if where.cluster is None else _there(jobs, where.cluster, watch):
        results.keep(outcome, model.spec)
        watch.end(outcome)
        found[outcome.slide.name] = outcome
    results.end(model)
    return [found[slide.name] for slide in plan.todo]


def _job(
    slide: CohortSlide, model: ModelOnNodes, where: Where, settings: WorkSettings, overwrite: bool
) -> Job:
    """Paths are made absolute: nodes work in other folders."""
    if isinstance(slide.path, Path):
        slide = replace(slide, path=slide.path.absolute())
    out = where.out.absolute() if isinstance(where.out, Path) else where.out
    cache = replace(where.cache, folder=where.cache.folder and where.cache.folder.absolute())
    return Job(slide, out, model, settings, overwrite, cache, where.shard_windows)


def _here(jobs: Sequence[Job], watch: CohortWatch) -> Iterator[Outcome]:
    for job in jobs:
        yield attempt(job.slide, partial(tasks.whole, job, progress=watch.begin(job.slide)))


def _there(jobs: Sequence[Job], cluster: Cluster, watch: CohortWatch) -> Iterator[Outcome]:
    """A slide is shown when its outcome comes: many are in work at once."""
    for outcome in outcomes(jobs, cluster):
        progress = watch.begin(outcome.slide)
        if outcome.result is not None and not outcome.result.skipped:
            manifest = outcome.result.manifest
            progress(Stage.WINDOWS, 0, manifest.windows, 0.0)
            progress(Stage.WINDOWS, manifest.windows, manifest.windows, _seen_mm2(manifest))
        yield outcome


def _seen_mm2(manifest: Manifest) -> float:
    """Area of the windows of a slide."""
    mpp = manifest.parameters["working_mpp"]
    scale = mpp / manifest.slide["mpp"]
    grid = WindowGrid.of(
        round(manifest.slide["width_px"] / scale), round(manifest.slide["height_px"] / scale)
    )
    return float(manifest.windows * (grid.output_px * mpp / 1000) ** 2)
