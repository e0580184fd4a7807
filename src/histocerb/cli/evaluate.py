"""`histocerb evaluate`: a model on annotated images."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from histocerb.cli.console import say, table, verbosity
from histocerb.cli.progress import counted
from histocerb.core.errors import OutputError, UsageError


def evaluate(
    context: typer.Context,
    data: Annotated[Path, typer.Option(metavar="STORE", help="Store; see histocerb data.")],
    out: Annotated[Path, typer.Option(metavar="REPORT.json", help="File to write.")],
    model: Annotated[str, typer.Option(help="Packaged model or checkpoint folder.")] = "default",
    split: Annotated[str, typer.Option(help="train, valid, fold-1, external, ...")] = "valid",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
) -> None:
    """Measure a model on the annotated images of a store."""
    from histocerb.api import load_model
    from histocerb.data.store import Store
    from histocerb.training.evaluation import evaluate as measure

    store = Store(data)
    indices = store.indices(splits=[split])
    if not indices:
        known = sorted({record.split for record in store.records})
        raise UsageError(
            f"Expected a split of {data} ({', '.join(known)}), found {split!r}; choose one of them."
        )
    loaded = load_model(model, device)
    samples = counted(store.samples(indices), "images", verbosity(context), len(indices))
    figures = measure(samples, loaded.predict, loaded.spec)
    running = loaded.running
    document = {
        "model": {"name": running.name, "sha256": running.sha256},
        "store": str(data),
        "split": split,
        "sources": figures,
    }
    _write(out, document)
    say(_summary(figures))
    say(f"report: {out}")


def _summary(figures: dict[str, Any]) -> str:
    """The main figures per source and task; accuracy is that of matched objects' classes, or of patches."""
    rows = []
    for source, tasks in figures.items():
        for task, found in tasks.items():
            if "dice" in found:
                types = found.get("types", {})
                means = _number(found["dice"]["mean"]), _number(found["pq"]["mean"])
                f1, accuracy = _number(found["object_f1"]), _number(types.get("accuracy"))
                rows.append((source, task, str(found["dice"]["n"]), *means, f1, accuracy))
            else:
                rows.append((source, task, str(found["patches"]), "", "", "", _number(found["accuracy"])))
    return table(("source", "task", "n", "Dice", "PQ", "object F1", "class accuracy"), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(_finite(document), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"Expected to write {path}, found: {error.strerror}; choose another --out."
        ) from error


def _finite(value: Any) -> Any:
    """The same with None for nan, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
