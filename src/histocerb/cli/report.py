"""`histocerb report`: results as pages that need no program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.console import ExitCode, say
from histocerb.core.errors import HistocerbError


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results of a cohort, or of one slide.")],
    slides: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Where slides are now that have moved; repeatable."),
    ] = None,
) -> None:
    """Write report.html for every slide that is done, and one for the cohort."""
    from histocerb.web.report import write_cohort_report, write_slide_report
    from histocerb.web.results import open_cohort
    from histocerb.web.slides import SlideShelf

    cohort, shelf = open_cohort(folder), SlideShelf(slides or ())
    failures: dict[str, str] = {}
    try:
        for name in [state.name for state in cohort.states() if state.is_done]:
            try:
                say(str(write_slide_report(cohort, name, shelf)))
            except HistocerbError as error:
                failures[name] = str(error).removeprefix(f"{name}: ")
                say(f"{name}: failed: {failures[name]}")
        if not cohort.single:
            say(str(write_cohort_report(cohort, shelf, failures)))
    finally:
        shelf.close()
    if failures:
        raise typer.Exit(ExitCode.FAILED)
