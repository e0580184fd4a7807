"""`histocerb report`: results as pages that need no program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.console import say


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results of a cohort, or of one slide.")],
) -> None:
    """Write report.html for every slide that is done, and one for the cohort."""
    from histocerb.web.report import write_cohort_report, write_slide_report
    from histocerb.web.results import open_cohort

    cohort = open_cohort(folder)
    for state in cohort.states():
        if state.is_done:
            say(str(write_slide_report(cohort, state.name)))
    if not cohort.single:
        say(str(write_cohort_report(cohort)))
