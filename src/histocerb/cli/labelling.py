"""`histocerb data regions | labelled | rounds`: from a model's doubts to corrected labels, round by round."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import say, table, verbosity
from histocerb.cli.progress import counted
from histocerb.core.errors import UsageError

if TYPE_CHECKING:
    from histocerb.data.rounds import Figure, Round


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(regions)
    app.command()(labelled)
    app.command()(rounds)


def regions(
    result: Annotated[Path, typer.Argument(metavar="DIR", help="Result folder of one slide.")],
    most_uncertain: Annotated[int, typer.Option(metavar="N", help="How many regions.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write them to, or to add them to.")],
    size: Annotated[int, typer.Option(help="Side of a region in pixels of 0.5 um.")] = 1000,
    slide: Annotated[Path | None, typer.Option(help="The slide, where it has moved.")] = None,
) -> None:
    """Cut out where the model is least sure of a slide, with what it found there, to be corrected."""
    from histocerb.inference.regions import cut_regions

    added = cut_regions(result, out, most_uncertain, size, slide)
    for region in added:
        say(f"{region.name}  {region.score:.3f}  {'; '.join(region.reasons)}")
    say(f"{len(added)} of {most_uncertain} regions written to {out}")


def labelled(
    context: typer.Context,
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of data regions.")],
    out: Annotated[Path, typer.Option(metavar="STORE", help="Store to make or to add to.")],
    round: Annotated[int, typer.Option(metavar="K", help="Number of the round, from 1.")],
    annotator: Annotated[str, typer.Option(help="Who corrected.")],
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="When [today].")] = "",
    task: Annotated[list[str] | None, typer.Option(help="Only this task was corrected; repeatable.")] = None,
) -> None:
    """Add regions that people corrected to a store; files that nobody saved are left out."""
    from histocerb.data.convert import Conversion
    from histocerb.data.convert import convert as add
    from histocerb.data.manifest import MANIFEST
    from histocerb.data.rounds import refuse_loss, source_of
    from histocerb.data.sources.labelled import Correction, untouched, without_patient
    from histocerb.data.sources.labelled import labelled as read

    day = date or datetime.date.today().isoformat()
    correction = Correction(round, annotator, day, tuple(task or ()))
    places = [Path(os.path.abspath(folder)) for folder in folders]
    entries = read(places, correction)
    if (out / MANIFEST).exists():
        refuse_loss(out, round, [entry.name for entry in entries])
    work = Conversion(source_of(round), Path(os.path.commonpath(places)), settings=repr(correction))
    store = add(counted(entries, "regions", verbosity(context), len(entries)), out, work)
    left_out = untouched(places)
    for name in left_out:
        say(f"{name}: left out, nobody has saved it since it was written")
    if alone := without_patient(places):
        say(f"{', '.join(alone)}: each counts as a patient, since segment was given no column patient")
    say(f"{len(entries)} regions of round {round} in {store.path}")


def rounds(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store.")],
    report: Annotated[
        list[str] | None,
        typer.Option(metavar="K=REPORT.json", help="Keep the figures of a report for round K; repeatable."),
    ] = None,
) -> None:
    """What each round of labelling added, how the validation figures moved, and whether to go on."""
    from histocerb.data.rounds import record, verdict
    from histocerb.data.rounds import rounds as rounds_of

    for text in report or ():
        number, _, path = text.partition("=")
        if not number.isdecimal() or not path:
            raise UsageError(f"expected --report K=REPORT.json, found {text!r}; such as 1=report.json")
        record(store, int(number), Path(path))
    found = rounds_of(store)
    say(_samples(found))
    if any(one.figures for one in found):
        say()
        say(_figures(found))
    say()
    say(verdict(found))


def _samples(found: list[Round]) -> str:
    tasks = list(dict.fromkeys(task for one in found for task in one.objects))
    rows = [
        (
            str(one.number),
            str(one.samples),
            *(f"{one.objects.get(task, 0):,}" for task in tasks),
            ", ".join(one.annotators),
            " to ".join(dict.fromkeys((*one.dates[:1], *one.dates[-1:]))),
        )
        for one in found
    ]
    return table(("round", "samples", *tasks, "annotators", "dates"), rows)


def _interval(found: Figure) -> str:
    return "-" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"


def _figures(found: list[Round]) -> str:
    rows = [
        (str(one.number), name, str(f.n), f"{f.mean:.3f}", _interval(f))
        for one in found
        for name, f in one.figures.items()
    ]
    return table(("round", "source, task", "n", "PQ", "95 % interval"), rows)
