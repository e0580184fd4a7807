"""Progress with rate and time left: a bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar

from histocerb.cli.console import Verbosity

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger(__name__)

Advance = Callable[[int], None]
"""Called with the number of units done since the last call."""

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(label: str, total: int | None, chosen: Verbosity) -> Iterator[Advance]:
    """Show the progress of one piece of work.

    Args:
        label: what is counted, such as `windows`.
        total: how many there are; None when unknown.
        chosen: decides between bar and lines.
    """
    pace = _Pace(label, total)
    if chosen.bars:
        with _bar(pace) as advance:
            yield advance
    else:
        yield _lines(pace)


def counted(things: Iterable[T], label: str, chosen: Verbosity, total: int | None = None) -> Iterator[T]:
    """The same things, with the progress shown."""
    with progress(label, total, chosen) as advance:
        for thing in things:
            yield thing
            advance(1)


@contextmanager
def slide_progress(name: str, chosen: Verbosity) -> Iterator[SlideProgress]:
    """Show the stages of a slide, one bar each, or log lines with windows per second.

    Args:
        name: of the slide.
        chosen: decides between bars and lines.
    """
    if not chosen.bars:
        yield StageLines(name)
        return
    with drawn_bars() as bars:
        yield StageBars(name, bars)


class SlideProgress(Protocol):
    """What the slide engine tells; called from several threads."""

    def __call__(self, stage: str, done: int, total: int, mm2: float) -> None:
        """`done` of `total` units of a stage; `mm2` of the slide seen so far."""
        ...


class StageBars:
    """A bar per stage of a slide."""

    def __init__(self, name: str, bars: Progress) -> None:
        self._name = name
        self._bars = bars
        self._stages: dict[str, tuple[TaskID, _Pace]] = {}
        self._lock = Lock()

    def __call__(self, stage: str, done: int, total: int, mm2: float) -> None:
        """See `SlideProgress`."""
        with self._lock:
            if stage not in self._stages:
                pace = _Pace(stage, total, done)
                self._stages[stage] = self._bars.add_task(str(pace), total=total), pace
            task, pace = self._stages[stage]
            pace.done, pace.total = done, total
            text = f"{self._name}: {pace}, {mm2:.1f} mm2"
            self._bars.update(task, completed=done, total=total, description=text)

    def clear(self) -> None:
        """Take the bars away."""
        with self._lock:
            for task, _ in self._stages.values():
                self._bars.remove_task(task)
            self._stages.clear()


class StageLines:
    """A log line every now and then on the stages of a slide."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stages: dict[str, _Pace] = {}
        self._last_s = time.monotonic()
        self._lock = Lock()

    def __call__(self, stage: str, done: int, total: int, mm2: float) -> None:
        """See `SlideProgress`."""
        with self._lock:
            pace = self._stages.setdefault(stage, _Pace(stage, total, done))
            pace.done, pace.total = done, total
            if time.monotonic() - self._last_s >= _SECONDS_BETWEEN_LINES:
                self._last_s = time.monotonic()
                log.info("%s: %s, %.1f mm2", self._name, str(pace), mm2)


@dataclass
class _Pace:
    """How fast the work goes; what was `kept` from an earlier run says nothing about it."""

    label: str
    total: int | None
    kept: int = 0
    start_s: float = field(default_factory=time.monotonic)
    done: int = field(init=False)

    def __post_init__(self) -> None:
        self.done = self.kept

    def __str__(self) -> str:
        rate = (self.done - self.kept) / max(time.monotonic() - self.start_s, 1e-9)
        count = f"{self.done:,}" if self.total is None else f"{self.done:,} of {self.total:,}"
        left = "" if self.total is None or not rate else f", {duration((self.total - self.done) / rate)} left"
        return f"{count} {self.label}" + (f", {rate:.3g}/s{left}" if rate else "")


@contextmanager
def _bar(pace: _Pace) -> Iterator[Advance]:
    with drawn_bars() as bars:
        task = bars.add_task(str(pace), total=pace.total)

        def advance(count: int) -> None:
            pace.done += count
            bars.update(task, completed=pace.done, description=str(pace))

        yield advance


def drawn_bars() -> Progress:
    """Bars on stderr that go away at the end; none is there yet."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = BarColumn(bar_width=30), TextColumn("{task.description}", markup=False)
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _lines(pace: _Pace) -> Advance:
    last_s = pace.start_s

    def advance(count: int) -> None:
        nonlocal last_s
        pace.done += count
        now_s = time.monotonic()
        if now_s - last_s >= _SECONDS_BETWEEN_LINES:
            last_s = now_s
            log.info("%s", str(pace))

    return advance


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
