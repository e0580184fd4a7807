"""`histocerb demo`: the whole way from a slide to its objects, on a slide of our own."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import say, table, verbosity
from histocerb.cli.progress import slide_progress
from histocerb.cli.view import show

if TYPE_CHECKING:
    from histocerb.cli.synth_quality import SynthQuality
    from histocerb.core.tasks import TaskSpec
    from histocerb.inference.manifest import Manifest

SIDE_PX = 2500


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another slide.")] = 0,
    view: Annotated[bool, typer.Option("--view", help="Open the result in the browser.")] = False,
) -> None:
    """Segment a synthetic slide and compare with its exact truth."""
    from histocerb.api import load_model
    from histocerb.cli.synth_quality import synth_quality
    from histocerb.inference.slide import segment_slide
    from histocerb.inference.work import writing
    from histocerb.slides.reader import open_slide
    from histocerb.slides.synth import SynthSlide
    from histocerb.slides.synth.writer import write_tiff

    model = load_model()
    folder = out / f"synthetic-{seed}"
    file = folder.with_suffix(".tif")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    drawn = SynthSlide(SIDE_PX, SIDE_PX, seed)
    write_tiff(drawn, file)
    say(f"slide:    {file}, {SIDE_PX} x {SIDE_PX} px at {drawn.mpp} um/px, synthetic, seed {seed}")
    say(f"model:    {model.running.name} on {model.running.predictor.device}")
    with closing(open_slide(file)) as slide, slide_progress(file.name, verbosity(context)) as progress:
        result = segment_slide(slide, model.running, folder, overwrite=True, progress=progress)
    quality = synth_quality(drawn, result.objects, result.tissue, model.spec)
    say(_counts(result.manifest))
    say()
    say(_quality(quality, result.manifest, model.spec))
    say()
    say(f"picture:  {folder / 'overview.png'}")
    say(f"objects:  {folder / 'objects.parquet'}")
    say(f"look:     histocerb view {out}    (in the browser)")
    say("next:     histocerb segment YOUR_SLIDE.svs --out results")
    say(f"          histocerb export {folder} --format geojson    (for QuPath)")
    if view:
        show(out)


def _counts(manifest: Manifest) -> str:
    rows = [
        (kind, name, f"{count:,}")
        for kind, classes in manifest.counts.items()
        for name, count in classes.items()
    ]
    return f"{table(('kind', 'class', 'found'), rows)}\ntissue: {manifest.tissue_area_mm2:.2f} mm2"


def _quality(quality: SynthQuality, manifest: Manifest, spec: TaskSpec) -> str:
    """Against the truth, per kind."""
    rows = []
    for name, dice in quality.dice.items():
        kind = spec.task(name).kind
        counts = f"{sum(manifest.counts[kind].values()):,}", f"{quality.truth_counts[kind]:,}"
        rows.append((kind, *counts, *(f"{value:.2f}" for value in (dice, quality.panoptic[name].pq))))
    share = quality.cells_right / max(quality.cells, 1)
    lines = table(("kind", "found", "true", "Dice", "PQ"), rows)
    return f"{lines}\ntissue: {quality.cells_right} of {quality.cells} cells right ({share:.0%})"
