"""`histocerb data`: from data sets, or from nothing, to a store for training and evaluation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli import labelling
from histocerb.cli.console import ExitCode, say, table, verbosity
from histocerb.cli.progress import counted
from histocerb.core.errors import UsageError

if TYPE_CHECKING:
    from histocerb.data.sources.entry import DataSet, ReadOptions
    from histocerb.data.store import Store

app = typer.Typer(help="Make, split, check and look at data stores; label in rounds.")
labelling.register(app)

StoreOption = Annotated[Path, typer.Option("--out", metavar="STORE", help="Store to make or to add to.")]
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store.")]
SeedOption = Annotated[int, typer.Option(help="Another seed, another choice.")]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Threads; default: one per core. The result is the same.")
]


@app.command()
def sources() -> None:
    """List what `data convert` reads, with its terms."""
    from histocerb.data.sources import DATA_SETS

    rows = [(name, found.title, found.licence) for name, found in sorted(DATA_SETS.items())]
    say(table(("SOURCE", "what", "terms"), rows))


@app.command()
def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Kind of data: see `data sources`.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Its folder, as downloaded.")],
    out: StoreOption,
    drop_unmapped: Annotated[
        bool,
        typer.Option(help="Objects of classes without a counterpart get no class, patches are left out."),
    ] = False,
    mpp: Annotated[
        float | None, typer.Option(help="Micrometres per pixel where the files do not say.")
    ] = None,
    task: Annotated[str, typer.Option(help="Task of the objects where the files do not say.")] = "",
    named: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="THEIRS=OURS", help="Class name in the files to ours."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name in the store [SOURCE]; samples of that name are replaced.")
    ] = "",
    workers: WorkersOption = None,
) -> None:
    """Add a data set to a store; run again after an interruption, it goes on where it stopped."""
    from histocerb.data.convert import Conversion
    from histocerb.data.convert import convert as add
    from histocerb.data.sources import DATA_SETS
    from histocerb.data.sources.entry import ReadOptions
    from histocerb.data.sources.renamed import renamed

    if source not in DATA_SETS:
        raise UsageError(
            f"Expected a data set ({', '.join(DATA_SETS)}), found {source!r}; choose one of them."
        )
    data_set = DATA_SETS[source]
    options = ReadOptions(drop_unmapped, mpp, _class_names(named or []), task)
    _refuse_idle(options, data_set, source)
    entries = data_set.read(path, options)
    if name:
        entries = renamed(entries, name, set(DATA_SETS) - {source})
    work = Conversion(name or source, path, data_set.licence, repr(options), workers or os.cpu_count() or 1)
    gone = _replaced(out, name or source, {entry.name for entry in entries})
    store = add(counted(entries, "samples", verbosity(context), len(entries)), out, work)
    _describe(store)
    if gone:
        say(
            f"replaced: {len(gone)} samples of {work.name} that {path} does not have, such as {gone[0]}, "
            "are no longer in the store; --name keeps several folders"
        )
    if data_set.note:
        say(data_set.note)


@app.command()
def synth(
    context: typer.Context,
    out: StoreOption,
    slides: Annotated[int, typer.Option(help="Squares with objects.")] = 20,
    side: Annotated[int, typer.Option(help="Their side in pixels of 0.5 um.")] = 1024,
    cells: Annotated[int, typer.Option(help="Tissue cells of 144 px per class; 0 for none.")] = 20,
    heads: Annotated[
        list[str] | None, typer.Option("--head", help="Label for these heads only; default: for all.")
    ] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
) -> None:
    """Add synthetic slides with exact truth to a store, in place of those that it has."""
    from histocerb.core.tasks import CERBERUS, HeadKind
    from histocerb.data.convert import Conversion
    from histocerb.data.convert import convert as add
    from histocerb.data.sources.partial_labels import keep_heads
    from histocerb.data.sources.synth import NAME, TISSUE_NAME, synth_tissue
    from histocerb.data.sources.synth import synth as squares

    chosen, threads = verbosity(context), workers or os.cpu_count() or 1
    kept = heads or [head.name for head in CERBERUS.heads]
    patch = [head.name for head in CERBERUS.heads if head.kind is HeadKind.PATCH]
    store, gone = None, {}
    if set(kept) - set(patch):
        gone[NAME] = _of_source(out, NAME)
        entries = keep_heads(counted(squares(slides, side, seed), "slides", chosen, slides), kept)
        store = add(entries, out, Conversion(NAME, workers=threads))
    if cells and set(kept) & set(patch):
        gone[TISSUE_NAME] = _of_source(out, TISSUE_NAME)
        drawn = keep_heads(counted(synth_tissue(cells, seed + slides), "tissue cells", chosen), kept)
        store = add(drawn, out, Conversion(TISSUE_NAME, workers=threads))
    if store is None:
        raise UsageError("Expected something to draw, found --cells 0 and heads of tissue alone; change one.")
    _describe(store)
    for name, before in gone.items():
        if lost := before - _of_source(out, name):
            say(f"replaced: {len(lost)} earlier samples of {name} are no longer in the store")


@app.command()
def split(
    store: StoreArgument,
    folds: Annotated[int, typer.Option(help="Folds for cross-validation; 0: one part to validate.")] = 0,
    valid: Annotated[
        float | None, typer.Option(help="Share that validates, without folds. [default: 0.2]")
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(help="Test data of no fold: a source, a centre, or what patients' names begin with."),
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Split a store by patient, for all tasks at once; what is added later is split alike."""
    from histocerb.data.convert import split_store
    from histocerb.data.splits import SplitParams, lacking

    if folds and valid is not None:
        raise UsageError("expected --folds or --valid, found both; leave one out")
    share = SplitParams.valid_fraction if valid is None else valid
    done = split_store(store, SplitParams(folds, share, tuple(external or ()), seed))
    _describe(done)
    for text in lacking(done.records, folds):
        say(text)


@app.command()
def check(store: StoreArgument, workers: WorkersOption = None) -> None:
    """Look for damage, contradictions, duplicates and patients in two splits."""
    from histocerb.data.check import check as findings_of

    findings = findings_of(store, workers=workers or os.cpu_count() or 1)
    grave = [finding for finding in findings if finding.grave]
    for title, found in (("to mend", grave), ("to know", [f for f in findings if not f.grave])):
        if found:
            say(table((title, "what", "what to do"), [(f.where, f.what, f.remedy) for f in found]))
    if grave:
        say(f"{store}: {len(grave)} to mend, {len(findings) - len(grave)} to know")
        raise typer.Exit(ExitCode.FAILED)
    say(f"{store}: nothing to mend, {len(findings)} to know")


@app.command()
def info(
    store: StoreArgument,
    sheet: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw a contact sheet with outlines.")
    ] = None,
    views: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw augmented crops with their targets.")
    ] = None,
) -> None:
    """Count samples and objects per source, task, class and split."""
    from histocerb.core.tasks import CERBERUS
    from histocerb.data.info import counts
    from histocerb.data.store import Store

    opened = Store(store)
    splits = sorted({record.split for record in opened.records})
    rows = [
        (c.source, c.task, c.label or "(no class)", *(str(c.per_split.get(name, 0)) for name in splits))
        for c in counts(opened.records, CERBERUS.patch.name if CERBERUS.patch else "")
        if any(c.per_split.values())
    ]
    _describe(opened)
    say(table(("source", "task", "class", *splits), rows))
    if sheet is not None:
        from histocerb.data.pictures import sheet as contact_sheet

        _save(contact_sheet(opened), sheet)
    if views is not None:
        from histocerb.data.batches import CropParams
        from histocerb.data.pictures import views as training_views

        _save(training_views(opened, CropParams(crop_px=256)), views)


def _class_names(named: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in named]
    for theirs, equals, ours in pairs:
        if not (theirs and equals and ours):
            raise UsageError(f"Expected --class THEIRS=OURS, found {theirs + equals + ours!r}; correct it.")
    return {theirs: ours for theirs, _, ours in pairs}


def _replaced(store: Path, source: str, names: set[str]) -> list[str]:
    """Samples of the source in the store, if there is one, that are not among the names."""
    return sorted(_of_source(store, source) - names)


def _of_source(store: Path, source: str) -> set[str]:
    """Names of the samples of a source in the store, if there is one."""
    from histocerb.data.manifest import MANIFEST, read_manifest

    if not (store / MANIFEST).exists():
        return set()
    return {record.name for record in read_manifest(store)[0] if record.source == source}


def _refuse_idle(options: ReadOptions, data_set: DataSet, source: str) -> None:
    """Refuse options that would have no effect."""
    from histocerb.data.sources.entry import ReadOptions

    unsaid = ReadOptions()
    words = {"drop_unmapped": "--drop-unmapped", "mpp": "--mpp", "classes": "--class", "task": "--task"}
    for name, word in words.items():
        if getattr(options, name) != getattr(unsaid, name) and name not in data_set.takes:
            raise UsageError(f"{word} has no effect on {source}, whose files say it; leave it out.")


def _save(picture: object, path: Path) -> None:
    import numpy as np
    from PIL import Image

    from histocerb.core.errors import OutputError

    try:
        Image.fromarray(np.asarray(picture)).save(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: expected a .png to write, found {error}; choose another") from error
    say(f"picture: {path}")


def _describe(store: Store) -> None:
    """Print samples per source and split."""
    from histocerb.data.info import samples_per_split

    rows = [
        (source, split, str(count))
        for source, per_split in samples_per_split(store.records).items()
        for split, count in per_split.items()
    ]
    say(table(("source", "split", "samples"), rows))
    say(f"store: {store.path}")
