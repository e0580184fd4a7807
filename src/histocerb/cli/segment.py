"""`histocerb segment`: slides in, one result folder per slide out, and one table over all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histocerb.cli.cohort_progress import cohort_progress
from histocerb.cli.console import ExitCode, say, verbosity
from histocerb.cli.segment_report import report


def segment(
    context: typer.Context,
    slides: Annotated[
        list[Path], typer.Argument(metavar="SLIDE...", help="Slides, folders, quoted globs or CSV tables.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for one result folder per slide.")],
    model: Annotated[str, typer.Option(help="Packaged model or checkpoint folder.")] = "default",
    mpp: Annotated[
        float | None, typer.Option(help="Micrometres per pixel, for all slides without one in a table.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace complete results.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Only slides that failed before.")
    ] = False,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Only the I-th of N shares of the slides.")
    ] = "1/1",
    config: Annotated[Path | None, typer.Option(help="TOML file: how the work is laid out.")] = None,
) -> None:
    """Find nuclei, glands, lumina and tissue types on slides."""
    from histocerb.api import load_model
    from histocerb.core.config_file import read_config
    from histocerb.inference.cohort.plan import Request, Shard, make_plan
    from histocerb.inference.cohort.run import segment_cohort
    from histocerb.inference.pipeline import WorkSettings

    plan = make_plan(Request(tuple(slides), mpp, Shard.parse(shard), retry_failed, overwrite), out)
    settings = read_config(config, WorkSettings) if config else WorkSettings()
    loaded = load_model(model, device)
    with cohort_progress(plan.todo, verbosity(context)) as watch:
        outcomes = segment_cohort(plan, loaded.running, out, settings, watch)
    say(report(outcomes, out))
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(ExitCode.FAILED)
