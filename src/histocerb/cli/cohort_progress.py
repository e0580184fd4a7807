"""Progress over many slides: how many are done, failed and left, how fast it goes, how long it takes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from histocerb.cli.console import Verbosity
from histocerb.cli.progress import SlideProgress, StageBars, StageLines, drawn_bars, duration

if TYPE_CHECKING:
    from rich.progress import Progress

    from histocerb.inference.cohort.run import CohortWatch, Outcome
    from histocerb.inference.cohort.slides import CohortSlide

log = logging.getLogger(__name__)

_FIRST_STAGE = "windows"
"""The stage that takes nearly all of the time, and tells how much of a slide is done."""


@contextmanager
def cohort_progress(slides: Sequence[CohortSlide], chosen: Verbosity) -> Iterator[CohortWatch]:
    """Show how far the slides are: a bar over all with those of the current slide below, or log lines.

    One slide alone has only its own.

    Args:
        slides: that are to be done.
        chosen: decides between bars and lines.
    """
    pace = CohortPace(len(slides), sum(slide.file_bytes for slide in slides))
    if not chosen.bars:
        yield _CohortLines(pace)
        return
    with drawn_bars() as bars:
        yield _CohortBars(pace, bars)


@dataclass
class CohortPace:
    """How fast a cohort goes. Time left is judged by the size of files: more is not known of unopened slides.

    Slides that were done before, or failed, say nothing about it.

    Attributes:
        slides: how many there are.
        file_bytes: what they take on disk.
        start_s: when the work began.
        done: slides with a result.
        failed: slides without.
        others: slides that another process works on.
    """

    slides: int
    file_bytes: int
    start_s: float = field(default_factory=time.monotonic)
    done: int = 0
    failed: int = 0
    others: int = 0
    _mm2: float = 0.0
    _worked_bytes: float = 0.0
    _left_bytes: float = field(init=False)
    _share: float = 0.0
    _seen_mm2: float = 0.0
    _kept_mm2: float | None = None
    _current_bytes: int = 0

    def __post_init__(self) -> None:
        self._left_bytes = self.file_bytes

    def begin(self, file_bytes: int) -> None:
        """A slide of that size begins."""
        self._current_bytes, self._share, self._seen_mm2, self._kept_mm2 = file_bytes, 0.0, 0.0, None

    def tell(self, stage: str, done: int, total: int, mm2: float) -> None:
        """See `SlideProgress`; what an interrupted run has left, told first, is not of this run."""
        if self._kept_mm2 is None:
            self._kept_mm2 = mm2
        self._seen_mm2 = mm2 - self._kept_mm2
        if stage == _FIRST_STAGE and total:
            self._share = done / total

    def end(self, outcome: Outcome) -> None:
        """The slide has ended."""
        self.failed += outcome.failed
        self.others += outcome.in_work
        self.done += outcome.result is not None
        if outcome.result is not None and not outcome.result.skipped:
            self._worked_bytes += self._current_bytes
        self._left_bytes -= self._current_bytes
        self._mm2 += self._seen_mm2
        self.begin(0)

    @property
    def ended(self) -> int:
        """Slides with which there is nothing more to do."""
        return self.done + self.failed + self.others

    def __str__(self) -> str:
        spent_s = max(time.monotonic() - self.start_s, 1e-9)
        counts = [f"{self.done} of {self.slides} slides done", f"{self.failed} failed"]
        if self.others:
            counts.append(f"{self.others} in work elsewhere")
        counts.append(f"{self.slides - self.ended} left")
        mm2 = self._mm2 + self._seen_mm2
        if mm2:
            counts.append(f"{mm2 / spent_s:.3g} mm2/s")
        current = self._share * self._current_bytes
        worked = self._worked_bytes + current
        left = self._left_bytes - current
        if worked and left > 0:
            counts.append(f"{duration(spent_s * left / worked)} left")
        return ", ".join(counts)


class _CohortBars:
    """A bar over all slides, and those of the current one below."""

    def __init__(self, pace: CohortPace, bars: Progress) -> None:
        self._pace, self._bars = pace, bars
        self._lock = Lock()
        many = pace.slides > 1
        self._task = bars.add_task(str(pace), total=pace.slides, visible=many)
        self._stages: StageBars | None = None

    def begin(self, slide: CohortSlide) -> SlideProgress:
        """See `CohortWatch.begin`."""
        self._pace.begin(slide.file_bytes)
        self._stages = stages = StageBars(slide.path.name, self._bars)

        def tell(stage: str, done: int, total: int, mm2: float) -> None:
            stages(stage, done, total, mm2)
            with self._lock:
                self._pace.tell(stage, done, total, mm2)
                self._draw()

        return tell

    def end(self, outcome: Outcome) -> None:
        """See `CohortWatch.end`."""
        if self._stages is not None:
            self._stages.clear()
        with self._lock:
            self._pace.end(outcome)
            self._draw()

    def _draw(self) -> None:
        self._bars.update(self._task, completed=self._pace.ended, description=str(self._pace))


class _CohortLines:
    """Log lines of the current slide now and then, and one over all when a slide has ended."""

    def __init__(self, pace: CohortPace) -> None:
        self._pace = pace
        self._lock = Lock()

    def begin(self, slide: CohortSlide) -> SlideProgress:
        """See `CohortWatch.begin`."""
        self._pace.begin(slide.file_bytes)
        stages = StageLines(slide.path.name)

        def tell(stage: str, done: int, total: int, mm2: float) -> None:
            stages(stage, done, total, mm2)
            with self._lock:
                self._pace.tell(stage, done, total, mm2)

        return tell

    def end(self, outcome: Outcome) -> None:
        """See `CohortWatch.end`."""
        with self._lock:
            self._pace.end(outcome)
        if self._pace.slides > 1:
            log.info("%s", str(self._pace))
