"""`histocerb doctor`: does this machine have all that is needed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.checks import all_checks
from histocerb.cli.console import ExitCode, say


def doctor(
    out: Annotated[Path, typer.Option(help="Where results will go; its free space is looked at.")] = Path(),
) -> None:
    """Show versions, devices and readers; say what is missing and how to get it."""
    missing = False
    for check in all_checks(out):
        mark = "ok" if check.ok else "MISSING" if check.essential else "note"
        say(f"{mark:8}{check.name:24}{check.found}")
        if not check.ok:
            say(f"{'':8}{'':24}-> {check.remedy}")
        missing = missing or not (check.ok or not check.essential)
    if missing:
        raise typer.Exit(ExitCode.FAILED)
