"""What `histocerb segment` says at the end: a table of what was found, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from histocerb.cli.console import table

if TYPE_CHECKING:
    from histocerb.inference.cohort.run import Outcome
    from histocerb.inference.slide import SlideResult
    from histocerb.slides.remote import Place

_MOST_PICTURES = 8
"""Pictures of more slides are told by one line."""


def report(outcomes: Sequence[Outcome], out: Place, failures: bool) -> str:
    """Counts, area and time per slide, by name; then pictures, what failed, totals and the files over all.

    Args:
        outcomes: of this call.
        out: where the results are.
        failures: there are some, of this or earlier calls.
    """
    from histocerb.inference.cohort.failures import FAILURES_FILE
    from histocerb.inference.cohort.slides import SUMMARY_FILE
    from histocerb.inference.overview import OVERVIEW_FILE

    ordered = sorted(outcomes, key=lambda outcome: outcome.slide.name)
    done = [(o, o.result) for o in ordered if o.result is not None]
    kinds = list(dict.fromkeys(kind for _, result in done for kind in result.manifest.counts))
    rows = [_row(outcome, result, kinds) for outcome, result in done]
    lines = [table(("slide", *kinds, "tissue mm2", "seconds"), rows)] if rows else []
    if len(done) <= _MOST_PICTURES:
        lines += [f"{o.slide.name}: {result.folder / OVERVIEW_FILE}" for o, result in done]
    else:
        lines.append(f"pictures: {out / '*' / OVERVIEW_FILE}")
    lines += [f"{o.slide.name}: left to another process that works on it" for o in ordered if o.in_work]
    lines += [f"{o.slide.name}: failed: {o.reason}" for o in ordered if o.failed]
    lines.append(_totals(ordered))
    lines.append(f"summary: {out / SUMMARY_FILE}")
    return "\n".join([*lines, f"failures: {out / FAILURES_FILE}"] if failures else lines)


def _totals(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "nothing to do"
    skipped = sum(o.result is not None and o.result.skipped for o in outcomes)
    numbers = (
        (sum(o.result is not None for o in outcomes) - skipped, "done"),
        (skipped, "done before"),
        (sum(o.in_work for o in outcomes), "in work elsewhere"),
        (sum(o.failed for o in outcomes), "failed"),
    )
    noun = "slide" if len(outcomes) == 1 else "slides"
    return f"{len(outcomes)} {noun}: " + ", ".join(f"{count} {word}" for count, word in numbers if count)


def _row(outcome: Outcome, result: SlideResult, kinds: Sequence[str]) -> list[str]:
    manifest = result.manifest
    counts = [f"{sum(manifest.counts.get(kind, {}).values()):,}" for kind in kinds]
    spent = "done before" if result.skipped else f"{outcome.seconds:.1f}"
    return [outcome.slide.name, *counts, f"{manifest.tissue_area_mm2:.2f}", spent]
