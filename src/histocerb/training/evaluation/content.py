"""What a report on one model says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from histocerb.metrics.figures import mean_of
from histocerb.training.evaluation import notes
from histocerb.training.evaluation.blocks import (
    Block,
    Figures,
    Heading,
    Paragraph,
    Picture,
    Table,
    decimal,
    with_interval,
)
from histocerb.training.evaluation.evaluate import ALL
from histocerb.training.evaluation.plots import calibration_chart, froc_chart

NAMES = {
    "images": "images",
    "patients": "patients",
    "objects": "objects in the truth",
    "found": "objects found",
    "dice": "Dice",
    "pq": "PQ",
    "dq": "DQ",
    "sq": "SQ",
    "mpq": "mPQ",
    "mpq_plus": "mPQ+",
    "aji": "AJI",
    "object_f1": "object F1",
    "object_dice": "object Dice",
    "object_hausdorff_um": "object Hausdorff, um",
    "r2": "R2 of counts",
    "types.n": "objects with a class on both sides",
    "types.accuracy": "class accuracy",
    "types.mf1": "class mF1",
    "types.map": "class mAP",
    "detection.froc": "FROC score",
    "detection.f1": "detection F1",
    "accuracy": "accuracy",
    "mf1": "mF1",
    "map": "mAP",
    "calibration.ece": "calibration error (ECE)",
    "types.calibration.ece": "calibration error of classes (ECE)",
}
"""Figures of a task in words, in the order of tables; dots lead into nested ones."""

PAPER = ("dice", "pq", "mpq", "mpq_plus", "types.map", "types.mf1", "map", "mf1", "accuracy")
"""The columns of the paper's Tables 2 to 5 and 7."""

_CLASS_COLUMNS = {
    "objects": "truth",
    "found": "found",
    "pq": "PQ",
    "pq_plus": "PQ over all images",
    "r2": "R2 of counts",
    "types.f1": "F1",
    "types.ap": "AP",
    "f1": "F1",
    "ap": "AP",
    "calibration.ece_per_class": "ECE",
    "types.calibration.ece_per_class": "ECE",
}


def report_on(document: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]]) -> list[Block]:
    """The blocks of a report.

    Args:
        document: of `measure`.
        pictures: per task, what there is to see.
    """
    model, summary = document["model"], document["summary"]
    return [
        Heading(f"Evaluation of {model['path']}", 1),
        *facts(document),
        Heading("Overview"),
        Paragraph(notes.text(notes.OVERVIEW)),
        _overview(summary[ALL]),
        *(block for task in summary[ALL] for block in _task(task, summary, pictures.get(task, ()))),
        *_notes(document),
    ]


def facts(document: Mapping[str, Any]) -> Iterator[Block]:
    """What was measured on what."""
    model, data, images = document["model"], document["data"], document["images"]
    rows = [
        ("model", model["path"]),
        ("sha256 of its weights", model["sha256"]),
        ("store", data["store"]),
        ("splits", ", ".join(data["splits"])),
        ("sources", ", ".join(sorted({row["source"] for row in images}))),
        ("images", f"{len(images):,} of {len({row['patient'] for row in images}):,} patients"),
        ("sha256 of images and labels", data["fingerprint"]),
        ("histocerb", document["histocerb"]),
    ]
    yield Table(("", ""), tuple(rows))
    for task, number in data["not_measured"].items():
        yield Paragraph(f"Not measured: {task}, annotated in {number:,} images; the model has no such task.")


def figure(figures: Figures, name: str) -> Any:
    """The figure of a dotted name, or None."""
    value: Any = figures
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _overview(tasks: Figures) -> Table:
    columns = [name for name in PAPER if any(figure(of_task, name) is not None for of_task in tasks.values())]
    header = ("task", "images", *(NAMES[name] for name in columns))
    rows = [
        (task, f"{of_task['images']:,}", *(with_interval(figure(of_task, name)) for name in columns))
        for task, of_task in tasks.items()
    ]
    return Table(header, tuple(rows))


def _task(task: str, summary: Figures, pictures: Sequence[Picture]) -> Iterator[Block]:
    sources = [source for source, tasks in summary.items() if task in tasks]
    if len(sources) == 2:
        sources = sources[1:]
    of_source = {source: summary[source][task] for source in sources}
    yield Heading(task)
    names = [name for name in NAMES if any(figure(found, name) is not None for found in of_source.values())]
    rows = [(NAMES[n], *(with_interval(figure(of_source[s], n)) for s in sources)) for n in names]
    yield Table(("", *sources), tuple(rows))
    for source, found in of_source.items():
        infinite = figure(found, "object_hausdorff_um.infinite")
        if infinite:
            yield Paragraph(notes.text(notes.INFINITE.format(source=source, images=infinite)))
        yield from _classes(source, found)
    yield from pictures


def _classes(source: str, found: Figures) -> Iterator[Block]:
    columns = {name: of for name in _CLASS_COLUMNS if (of := _per_class(found, name))}
    if columns:
        classes = dict.fromkeys(name for column in columns.values() for name in column)
        yield Heading(f"Classes: {source}", 3)
        rows = [(name, *(_cell(column.get(name)) for column in columns.values())) for name in classes]
        yield Table(("class", *(_CLASS_COLUMNS[name] for name in columns)), tuple(rows))
    confusion = figure(found, "confusion") or figure(found, "types.confusion")
    if confusion:
        yield from _confusion(confusion, source)


def _per_class(found: Figures, name: str) -> dict[str, Any]:
    """Values of one column per class."""
    if name in ("objects", "found", "pq", "pq_plus", "r2"):
        table = found.get("per_class", {})
        return {key: row[name] for key, row in table.items() if name in row}
    return dict(figure(found, name) or {})


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else decimal(value)


def _confusion(confusion: Figures, source: str) -> Iterator[Block]:
    classes, counts = confusion["classes"], confusion["counts"]
    used = [k for k in range(len(classes)) if any(counts[k]) or any(row[k] for row in counts)]
    yield Paragraph(f"Confusion, {source}: a row per true class, a column per class that was said.")
    rows = [(classes[k], *(f"{counts[k][j]:,}" for j in used)) for k in used]
    shares = [(0.0, *(counts[k][j] / max(1, sum(counts[k])) for j in used)) for k in used]
    yield Table(("true class", *(classes[k] for k in used)), tuple(rows), tuple(shares))


def charts(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Task, name, text and SVG of what can be drawn of the summary over all sources."""
    for task, found in document["summary"][ALL].items():
        bins = figure(found, "calibration.bins") or figure(found, "types.calibration.bins")
        if bins:
            text = f"{task}: how often classes were right, by the probability that they were given"
            yield task, "calibration", text, calibration_chart(bins, f"{task}: calibration of classes")
        curve = figure(found, "detection.curve")
        if curve and mean_of(figure(found, "detection.froc")) is not None:
            text = f"{task}: share of the truth that is found, by false positives per image (FROC)"
            yield task, "froc", text, froc_chart(curve, f"{task}: detection (FROC)")


def _notes(document: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("How to read this")
    patients = len({row["patient"] for row in document["images"]})
    yield Paragraph(notes.text(notes.FIGURES))
    yield Paragraph(notes.text(notes.COLOURS))
    yield Paragraph(notes.text(notes.INTERVALS.format(images=len(document["images"]), patients=patients)))
