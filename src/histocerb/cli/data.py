"""`histocerb data`: from public data sets, or from nothing, to a store for training and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import ExitCode, say, table, verbosity
from histocerb.cli.progress import counted
from histocerb.core.errors import UsageError

if TYPE_CHECKING:
    from histocerb.data.store import Store

app = typer.Typer(help="Make and check data stores.")

StoreOption = Annotated[Path, typer.Option("--out", metavar="STORE", help="Store to make or to add to.")]
SeedOption = Annotated[int, typer.Option(help="Another seed, another choice.")]


@app.command()
def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Data set: glas or consep.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Its folder, as downloaded.")],
    out: StoreOption,
    valid: Annotated[float, typer.Option(help="Share of the samples that validate.")] = 0.2,
    seed: SeedOption = 0,
) -> None:
    """Add a public data set to a store; whole patients go to training or validation."""
    from histocerb.data.convert import convert as add
    from histocerb.data.sources import SOURCES
    from histocerb.data.splits import SplitParams

    if source not in SOURCES:
        raise UsageError(f"Expected a data set ({', '.join(SOURCES)}), found {source!r}; choose one of them.")
    samples = counted(SOURCES[source](path), "samples", verbosity(context))
    _describe(add(samples, out, split=SplitParams(valid, seed)))


@app.command()
def synth(
    context: typer.Context,
    out: StoreOption,
    slides: Annotated[int, typer.Option(help="Squares with objects.")] = 20,
    side: Annotated[int, typer.Option(help="Their side in pixels of 0.5 um.")] = 1024,
    cells: Annotated[int, typer.Option(help="Tissue cells of 144 px per class; 0 for none.")] = 20,
    seed: SeedOption = 0,
) -> None:
    """Add synthetic slides with exact truth to a store."""
    from histocerb.data.convert import convert as add
    from histocerb.data.sources.synth import synth as squares
    from histocerb.data.sources.synth import synth_tissue

    chosen = verbosity(context)
    store = add(counted(squares(slides, side, seed), "slides", chosen), out)
    if cells:
        store = add(counted(synth_tissue(cells, seed + slides), "tissue cells", chosen), out)
    _describe(store)


@app.command()
def check(store: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store.")]) -> None:
    """Look for damage, contradictions and patients in two splits."""
    from histocerb.data.check import check as problems_of

    problems = problems_of(store)
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(ExitCode.FAILED)
    say(f"{store}: no problems")


def _describe(store: Store) -> None:
    """Print samples per source and split."""
    counts: dict[tuple[str, str], int] = {}
    for record in store.records:
        counts[record.source, record.split] = counts.get((record.source, record.split), 0) + 1
    rows = [(source, split, str(count)) for (source, split), count in sorted(counts.items())]
    say(table(("source", "split", "samples"), rows))
    say(f"store: {store.path}")
