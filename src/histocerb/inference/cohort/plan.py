"""What one process does for a cohort: its share of the slides, in the order of its work."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.failures import read_failures
from histocerb.inference.cohort.slides import CohortSlide
from histocerb.inference.cohort.sources import find_slides
from histocerb.slides.remote import Place


@dataclass(frozen=True)
class Shard:
    """One of several processes that share a cohort.

    Attributes:
        number: from 1.
        count: how many there are.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that `2/8` means.

        Raises:
            UsageError: It is not like that.
        """
        match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text, re.ASCII)
        number, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= count:
            raise UsageError(f"expected a shard such as 1/8 or 8/8, found {text!r}; change --shard")
        return cls(number, count)


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Attributes:
        sources: files, folders, globs and CSV tables, by path or URL.
        mpp: micrometres per pixel where a table does not say it.
        shard: which share of the cohort to do.
        retry_failed: only slides that failed before.
        overwrite: replace complete results.
    """

    sources: tuple[Place, ...]
    mpp: float | None = None
    shard: Shard = Shard()
    retry_failed: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Plan:
    """A request with its slides.

    Attributes:
        request: what was asked for.
        cohort: all slides, of all shards.
        todo: what this process does, in order.
    """

    request: Request
    cohort: tuple[CohortSlide, ...]
    todo: tuple[CohortSlide, ...]


def make_plan(request: Request, out: Path) -> Plan:
    """Find the slides and choose those that this process works on, the largest first.

    Raises:
        UsageError: There are none, or they cannot be told apart.
    """
    cohort = by_size(find_slides(request.sources, request.mpp))
    todo = share(cohort, request.shard)
    if request.retry_failed:
        failed = read_failures(out)
        todo = [slide for slide in todo if slide.name in failed]
    return Plan(request, tuple(cohort), tuple(todo))


def by_size(slides: Sequence[CohortSlide]) -> list[CohortSlide]:
    """The largest first, so that none of those is begun last while others have nothing more to do.

    A slide that takes too much memory or disk also fails early so. Results do not depend on the order.
    """
    return sorted(slides, key=lambda slide: (-slide.file_bytes, slide.name))


def share(slides: Sequence[CohortSlide], shard: Shard) -> list[CohortSlide]:
    """The slides of one shard; every slide is in exactly one.

    Args:
        slides: all, the largest first. Each goes to the shard that has least bytes so far.
        shard: which.
    """
    loads = [(0, number) for number in range(1, shard.count + 1)]
    mine = []
    for slide in slides:
        load, number = loads[0]
        heapq.heapreplace(loads, (load + slide.file_bytes + 1, number))
        if number == shard.number:
            mine.append(slide)
    return mine
