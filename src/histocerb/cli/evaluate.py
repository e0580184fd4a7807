"""`histocerb evaluate`: a model on annotated images, or two models side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histocerb.cli.console import say, table, verbosity
from histocerb.cli.progress import counted
from histocerb.core.errors import UsageError

if TYPE_CHECKING:
    from histocerb.training.evaluation import Measured
    from histocerb.training.evaluation.measure import Progress

DEFAULT_MODEL, DEFAULT_SPLIT = "default", "valid"
_PICTURES = 3


def evaluate(
    context: typer.Context,
    data: Annotated[Path, typer.Option(metavar="STORE", help="Store; see histocerb data.")],
    out: Annotated[Path, typer.Option(metavar="REPORT.json", help="File to write; .md and .html beside it.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Packaged model or checkpoint folder [default]; a second one: compare both."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="REPORT.json", help="Compare with the model of this earlier report."),
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="train, valid, fold-1, external, ... [valid]; repeatable.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Name of a data set of the store [all]; repeatable.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="At most so many per source and split.")] = None,
    pictures: Annotated[
        int | None,
        typer.Option(min=0, help="Best and worst images of one model to draw, per task. [default: 3]"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
) -> None:
    """Measure a model on the annotated images of a store."""
    from histocerb.data.store import Store
    from histocerb.training.evaluation import Choice, compare, measure
    from histocerb.training.evaluation.compare import check_comparable, read_document
    from histocerb.training.evaluation.gallery import Gallery
    from histocerb.training.evaluation.measure import origin
    from histocerb.training.evaluation.publish import check_place, publish, publish_comparison

    names = model or [DEFAULT_MODEL]
    if len(names) + (baseline is not None) > 2:
        raise UsageError("expected one model, or two to compare, found more; leave some out")
    if pictures is not None and len(names) + (baseline is not None) == 2:
        raise UsageError("expected --pictures of one model, found two to compare; leave it out")
    if baseline is not None and baseline.resolve() == out.resolve():
        raise UsageError(
            f"expected another file as --out than as --baseline, found {out} twice; change --out"
        )
    check_place(out)
    store, choice = Store(data), Choice(tuple(split or [DEFAULT_SPLIT]), images, tuple(source or ()))
    earlier = [] if baseline is None else [read_document(baseline)]
    models = [_loaded(name, device) for name in names]
    if len(models) + len(earlier) == 1:
        gallery = Gallery(_PICTURES if pictures is None else pictures)
        document = measure(store, choice, models[0], watch=gallery.watch, progress=_progress(context))
        publish(out, document, gallery)
        say(_summary(document))
    else:
        check_comparable(*earlier, *(origin(store, choice, one) for one in models))
        new = [measure(store, choice, one, progress=_progress(context)) for one in models]
        first, second = [*earlier, *new]
        found = compare(first, second)
        publish_comparison(out, first, second, found)
        say(_differences(found))
    say(f"report: {out}, {out.with_suffix('.md').name}, {out.with_suffix('.html').name}")


def _loaded(name: str, device: str) -> Measured:
    from histocerb.api import load_model
    from histocerb.training.evaluation import Measured
    from histocerb.training.evaluation.windows import window_maps

    model = load_model(name, device)
    probabilities = model.running.predictor.probabilities
    return Measured(
        name, model.running.sha256, model.spec, lambda image: window_maps(image, probabilities, model.spec)
    )


def _progress(context: typer.Context) -> Progress:
    return lambda samples, total: counted(samples, "images", verbosity(context), total)


def _summary(document: Mapping[str, Any]) -> str:
    """The main figures per source and task."""
    names = ("dice", "pq", "object_f1", "mpq", "types.accuracy", "types.mf1", "accuracy", "mf1")
    rows = [
        (source, task, str(found["images"]), *(_number(found, name) for name in names))
        for source, tasks in document["summary"].items()
        for task, found in tasks.items()
    ]
    header = ("Dice", "PQ", "object F1", "mPQ", "type acc.", "type mF1", "accuracy", "mF1")
    return table(("source", "task", "images", *header), rows)


def _number(found: Mapping[str, Any], name: str) -> str:
    from histocerb.metrics.figures import mean_of
    from histocerb.training.evaluation.content import figure

    value = mean_of(figure(found, name))
    return "" if value is None else f"{value:.3f}"


def _differences(found: Mapping[str, Any]) -> str:
    """Second minus first over all sources."""
    rows = [
        (task, figure, str(row["n"]), *(_signed(row[key]) for key in ("difference", "low", "high", "p_holm")))
        for task, figures in found["rows"]["all"].items()
        for figure, row in figures.items()
    ]
    return table(("task", "figure", "images", "difference", "low", "high", "p (Holm)"), rows)


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
