"""`histocerb segment`: slides in, one result folder per slide out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import ExitCode, Verbosity, say, table, verbosity
from histocerb.cli.progress import slide_progress
from histocerb.core.errors import HistocerbError, UsageError

if TYPE_CHECKING:
    from histocerb.api import Model
    from histocerb.inference.pipeline import WorkSettings
    from histocerb.inference.slide import SlideResult

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a slide: a result, or the reason why there is none."""

    name: str
    seconds: float
    result: SlideResult | None = None
    reason: str = ""


def segment(
    context: typer.Context,
    slides: Annotated[list[Path], typer.Argument(metavar="SLIDE...", help="Slides or images.")],
    out: Annotated[Path, typer.Option(help="Folder for one result folder per slide.")],
    model: Annotated[str, typer.Option(help="Packaged model or checkpoint folder.")] = "default",
    mpp: Annotated[float | None, typer.Option(help="Micrometres per pixel, for all slides.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace complete results.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file: how the work is laid out.")] = None,
) -> None:
    """Find nuclei, glands, lumina and tissue types on slides."""
    from histocerb.api import load_model
    from histocerb.core.config_file import read_config
    from histocerb.inference.manifest import write_run
    from histocerb.inference.pipeline import WorkSettings
    from histocerb.inference.work import writing

    folders = result_folders(slides, out)
    settings = read_config(config, WorkSettings) if config else WorkSettings()
    loaded = load_model(model, device)
    options = {"slides": [str(slide) for slide in slides], "mpp": mpp, "work": asdict(settings)}
    with writing(out):
        write_run(out, options, loaded.running)
    chosen = verbosity(context)
    outcomes = [
        _segment_one(slide, folder, loaded, mpp, settings, overwrite, chosen)
        for slide, folder in zip(slides, folders, strict=True)
    ]
    say(report(outcomes))
    if any(outcome.result is None for outcome in outcomes):
        raise typer.Exit(ExitCode.FAILED)


def result_folders(slides: Sequence[Path], out: Path) -> list[Path]:
    """The result folder of every slide, named after it.

    Raises:
        UsageError: Two slides have the same name.
    """
    first: dict[str, Path] = {}
    for slide in slides:
        if slide.stem in first:
            raise UsageError(
                f"Expected slides of different names, found {first[slide.stem]} and {slide}; "
                "run them with different --out."
            )
        first[slide.stem] = slide
    return [out / slide.stem for slide in slides]


def report(outcomes: Sequence[Outcome]) -> str:
    """The table at the end: counts, area and time per slide; then where to look, and what failed."""
    done = [outcome for outcome in outcomes if outcome.result is not None]
    kinds = list(dict.fromkeys(kind for o in done if o.result for kind in o.result.manifest.counts))
    rows = [_row(o.name, o.result, o.seconds, kinds) for o in done if o.result]
    lines = [table(("slide", *kinds, "tissue mm2", "seconds"), rows)] if rows else []
    lines += [f"{o.name}: {o.result.folder / 'overview.png'}" for o in done if o.result]
    lines += [f"{o.name}: failed: {o.reason}" for o in outcomes if o.result is None]
    return "\n".join(lines)


def _row(name: str, result: SlideResult, seconds: float, kinds: Sequence[str]) -> list[str]:
    manifest = result.manifest
    counts = [f"{sum(manifest.counts.get(kind, {}).values()):,}" for kind in kinds]
    spent = "done before" if result.skipped else f"{seconds:.1f}"
    return [name, *counts, f"{manifest.tissue_area_mm2:.2f}", spent]


def _segment_one(
    path: Path,
    folder: Path,
    model: Model,
    mpp: float | None,
    settings: WorkSettings,
    overwrite: bool,
    chosen: Verbosity,
) -> Outcome:
    """Segment one slide; what goes wrong with it is its outcome, so that the others go on."""
    from histocerb.inference.slide import segment_slide
    from histocerb.slides.reader import open_slide

    log.info("%s: begins", path)
    start_s = time.monotonic()
    try:
        slide = open_slide(path, mpp)
        try:
            with slide_progress(path.name, chosen) as progress:
                result = segment_slide(
                    slide, model.running, folder, settings, overwrite=overwrite, progress=progress
                )
        finally:
            slide.close()
    except Exception as error:
        reason = str(error)
        if not isinstance(error, HistocerbError):
            reason = f"unexpected {type(error).__name__}: {error}; --debug shows where"
        log.error("%s: failed: %s", path, reason, exc_info=chosen.debug)
        return Outcome(path.stem, time.monotonic() - start_s, reason=reason)
    log.info("%s: done", path)
    return Outcome(path.stem, time.monotonic() - start_s, result)
