"""`histocerb status`: how far a cohort is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import say, table

if TYPE_CHECKING:
    from histocerb.inference.cohort.status import SlideState


def status(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Folder or URL of results (--out of a segment).")
    ],
) -> None:
    """Say which slides are done, failed, running or not begun."""
    from histocerb.inference.cluster.results import seen_at
    from histocerb.inference.cohort.failures import FAILURES_FILE
    from histocerb.inference.cohort.slides import SUMMARY_FILE
    from histocerb.inference.cohort.status import slide_states
    from histocerb.slides.remote import place

    where, titles = place(folder), (("failures", FAILURES_FILE), ("summary", SUMMARY_FILE))
    with seen_at(where) as seen:
        states = slide_states(seen)
        files = [(title, name) for title, name in titles if (seen / name).exists()]
    if states:
        say(_slides(states).replace(str(seen), str(where)))
    say(_totals(states))
    for title, name in files:
        say(f"{title}: {where / name}")


def _slides(states: Sequence[SlideState]) -> str:
    rows = []
    for slide in states:
        manifest = slide.manifest if slide.is_done else None
        found = [f"{_objects(slide):,}", f"{manifest.tissue_area_mm2:.2f}"] if manifest else ["", ""]
        rows.append([slide.name, str(slide.state), *found, slide.reason])
    return table(("slide", "status", "objects", "tissue mm2", "reason"), rows)


def _totals(states: Sequence[SlideState]) -> str:
    """Slides per state, then objects and area of those that are done."""
    from histocerb.inference.cohort.status import State

    numbers = [f"{sum(slide.state is state for slide in states)} {state}" for state in State]
    done = [slide for slide in states if slide.is_done]
    area_mm2 = sum(slide.manifest.tissue_area_mm2 for slide in done if slide.manifest)
    objects = f"{sum(map(_objects, done)):,} objects on {area_mm2:.2f} mm2 of tissue"
    noun = "slide" if len(states) == 1 else "slides"
    return f"{len(states)} {noun}: {', '.join(numbers)}; {objects}"


def _objects(slide: SlideState) -> int:
    counts = slide.manifest.counts if slide.manifest else {}
    return sum(sum(of_kind.values()) for of_kind in counts.values())
