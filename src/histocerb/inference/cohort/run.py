"""Segment the slides of a plan, one after the other; none stops the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from histocerb.core.errors import HistocerbError, InWorkError
from histocerb.core.tasks import TaskSpec
from histocerb.inference.cohort.failures import Failure, forget, remember, write_failures
from histocerb.inference.cohort.plan import Plan
from histocerb.inference.cohort.results import keep_columns
from histocerb.inference.cohort.slides import SUMMARY_FILE, CohortSlide
from histocerb.inference.cohort.summary import check_columns, write_summary
from histocerb.inference.manifest import RunningModel, write_run
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.progress import Progress, no_progress
from histocerb.inference.slide import SlideResult, segment_slide
from histocerb.inference.work import OtherResultError, writing
from histocerb.slides.reader import open_slide

_LOG = logging.getLogger(__name__)

_TABLES_EVERY_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of a slide: a result, or the reason why there is none.

    Attributes:
        slide: which.
        seconds: that it took in this run.
        result: what was found, or None.
        reason: one sentence where there is no result.
        in_work: another process works on the slide; it has not failed.
        other_result: it failed because its folder holds the result of other inputs.
    """

    slide: CohortSlide
    seconds: float
    result: SlideResult | None = None
    reason: str = ""
    in_work: bool = False
    other_result: bool = False

    @property
    def failed(self) -> bool:
        """True where something is wrong."""
        return self.result is None and not self.in_work


class CohortWatch(Protocol):
    """Told how far a cohort is."""

    def begin(self, slide: CohortSlide) -> Progress:
        """A slide begins; gives what is told how far it is."""
        ...

    def end(self, outcome: Outcome) -> None:
        """A slide has ended."""
        ...


class Unwatched:
    """Tells nobody."""

    def begin(self, slide: CohortSlide) -> Progress:
        """See `CohortWatch.begin`."""
        del slide
        return no_progress

    def end(self, outcome: Outcome) -> None:
        """See `CohortWatch.end`."""


def segment_cohort(
    plan: Plan,
    model: RunningModel,
    out: Path,
    settings: WorkSettings | None = None,
    watch: CohortWatch | None = None,
) -> list[Outcome]:
    """Segment the slides of a plan into one result folder each, in `out`.

    What is done is skipped. Failures are kept in `failures.csv`, and `summary.parquet` has a row for each
    slide that is done, whichever process did it. Several processes may work on shards of a cohort at once.

    Args:
        plan: from `plan.make_plan`.
        model: network, tasks and device.
        out: folder of the results.
        settings: how the work is laid out; results do not depend on it.
        watch: told how far it is.

    Returns:
        What became of each slide of the plan, in its order.

    Raises:
        OutputError: `out` cannot be written.
        UsageError: A carried column is called like one of the summary or of the failures.
    """
    settings, watch = settings or WorkSettings(), watch or Unwatched()
    begin_cohort(plan, model, out, settings)
    outcomes = []
    for slide in plan.todo:
        progress = watch.begin(slide)
        work = partial(_segment, slide, out / slide.name, model, settings, plan.request.overwrite, progress)
        outcome = attempt(slide, work)
        keep(out, outcome, model.spec)
        watch.end(outcome)
        outcomes.append(outcome)
    end_cohort(out, model)
    return outcomes


def begin_cohort(
    plan: Plan, model: RunningModel, out: Path, settings: WorkSettings, device: str = ""
) -> None:
    """What is to be done before any slide: `run.json`.

    Args:
        plan: what is to be done.
        model: what segments it.
        out: folder of the results.
        settings: how the work is laid out.
        device: what computes, where that is not the predictor of the model.

    Raises:
        OutputError: `out` cannot be written.
        UsageError: A carried column is called like one of the summary or of the failures.
    """
    check_columns(plan.cohort, model.spec)
    with writing(out):
        write_run(out, _configuration(plan, settings), model, device or model.predictor.device)


def end_cohort(out: Path, model: RunningModel) -> None:
    """What is to be done after all slides: `failures.csv` and `summary.parquet`."""
    with writing(out):
        _write_tables(out, model.spec)


def _write_tables(out: Path, spec: TaskSpec) -> None:
    write_failures(out)
    write_summary(out, spec)


def _configuration(plan: Plan, settings: WorkSettings) -> dict[str, Any]:
    """What `run.json` says: the whole cohort, so that it is the same for all shards."""
    cohort = [{"name": slide.name, "slide": slide.location, "mpp": slide.mpp} for slide in plan.cohort]
    sources = [str(source) for source in plan.request.sources]
    return {"slides": sources, "mpp": plan.request.mpp, "work": asdict(settings), "cohort": cohort}


def _segment(
    slide: CohortSlide,
    folder: Path,
    model: RunningModel,
    settings: WorkSettings,
    overwrite: bool,
    progress: Progress,
) -> SlideResult:
    with closing(open_slide(slide.path, slide.mpp)) as opened:
        return segment_slide(opened, model, folder, settings, overwrite=overwrite, progress=progress)


def attempt(slide: CohortSlide, work: Callable[[], SlideResult]) -> Outcome:
    """Do the work on one slide; what goes wrong with it is its outcome."""
    _LOG.info("%s: begins", slide.path)
    start_s = time.monotonic()
    try:
        result = work()
    except InWorkError as error:
        _LOG.info("%s: left to another process: %s", slide.path, error)
        return Outcome(slide, time.monotonic() - start_s, reason=str(error), in_work=True)
    except Exception as error:
        reason = str(error)
        if not isinstance(error, HistocerbError):
            reason = f"unexpected {type(error).__name__}: {error}; --debug shows where"
        reason = " ".join(reason.split())
        _LOG.error("%s: failed: %s", slide.path, reason)
        _LOG.debug("%s: failed here", slide.path, exc_info=error)
        other_result = isinstance(error, OtherResultError)
        return Outcome(slide, time.monotonic() - start_s, reason=reason, other_result=other_result)
    _LOG.info("%s: done", slide.path)
    return Outcome(slide, time.monotonic() - start_s, result)


def keep(out: Path, outcome: Outcome, spec: TaskSpec) -> None:
    """Keep what became of a slide; a disk that is full for that, too, does not stop the others.

    The tables over all slides are brought up to date once in a while, so that a process that is killed leaves
    them. Not each time: they are made from all folders and records.
    """
    slide, result = outcome.slide, outcome.result
    try:
        if outcome.failed:
            remember(out, _failure(outcome))
        elif result is not None:
            keep_columns(out / slide.name, slide.columns)
            forget(out, slide.name)
        is_new = outcome.failed or (result is not None and not result.skipped)
        if is_new and _age_s(out / SUMMARY_FILE) > _TABLES_EVERY_S:
            _write_tables(out, spec)
    except OSError as error:
        _LOG.warning("%s: what became of it could not be written (%s)", slide.path, error.strerror or error)


def _failure(outcome: Outcome) -> Failure:
    slide = outcome.slide
    return Failure(slide.location, slide.name, outcome.reason, slide.mpp, slide.columns, outcome.other_result)


def _age_s(path: Path) -> float:
    """Since a file was written; infinite where there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
