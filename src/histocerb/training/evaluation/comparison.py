"""What a report on two models says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from histocerb.training.evaluation import notes
from histocerb.training.evaluation.blocks import Block, Figures, Heading, Paragraph, Table, decimal
from histocerb.training.evaluation.compare import LOWER_IS_BETTER
from histocerb.training.evaluation.content import NAMES
from histocerb.training.evaluation.evaluate import ALL

_NAMES = {**NAMES, "type_accuracy": "class accuracy", "detection_f1": "detection F1", "right": "accuracy"}
_LEVEL = 0.05


def report_on_both(found: Mapping[str, Any]) -> list[Block]:
    """The blocks of a report on a comparison, from what `compare` says."""
    first, second = (model["path"] for model in found["models"])
    if first == second:
        first, second = (f"{model['path']} {model['sha256'][:8]}" for model in found["models"])
    rows = [
        ("first model", f"{first}, sha256 {found['models'][0]['sha256']}"),
        ("second model", f"{second}, sha256 {found['models'][1]['sha256']}"),
        ("store", found["data"]["store"]),
        ("splits", ", ".join(found["data"]["splits"])),
        ("images", f"{found['images']:,}"),
        ("histocerb", found["histocerb"]),
    ]
    alone = zip((first, second), found["only"], strict=True)
    return [
        Heading(f"{first} against {second}", 1),
        Table(("", ""), tuple(rows)),
        *(
            Paragraph(f"Only {name} has {', '.join(tasks)}; that is not compared.")
            for name, tasks in alone
            if tasks
        ),
        *_sections(found, (first, second)),
        *_notes(found),
    ]


def _sections(found: Mapping[str, Any], names: tuple[str, str]) -> Iterator[Block]:
    sources = [source for source in found["rows"] if source != ALL]
    yield Heading("Over all sources")
    for task, rows in found["rows"][ALL].items():
        yield Heading(task, 3)
        yield _table(rows, names)
    for source in sources if len(sources) > 1 else ():
        yield Heading(source)
        for task, rows in found["rows"][source].items():
            yield Heading(task, 3)
            yield _table(rows, names)


def _table(rows: Figures, names: tuple[str, str]) -> Table:
    tested = any("p" in row for row in rows.values())
    header = ("figure", "images", "patients", "left out", *names, "difference (95 % interval)")
    lines = [
        (
            _NAMES[figure],
            f"{row['n']:,}",
            f"{row['patients']:,}",
            f"{row['left_out']:,}",
            decimal(row["first"]),
            decimal(row["second"]),
            _difference(row),
            *((_p(row["p"]), _p(row["p_holm"]), _verdict(figure, row, names)) if tested else ()),
        )
        for figure, row in rows.items()
    ]
    return Table((*header, *(("p", "p (Holm)", "better") if tested else ())), tuple(lines))


def _difference(row: Figures) -> str:
    if row["difference"] is None:
        return "-"
    if row["low"] is None:
        return f"{row['difference']:+.3f}"
    return f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else decimal(value)


def _verdict(figure: str, row: Figures, names: tuple[str, str]) -> str:
    """The model that is better beyond chance, if one is: by the mean and by the test, which may disagree."""
    if row["p_holm"] is None or row["p_holm"] >= _LEVEL or row["difference"] * row["rank_sum"] <= 0:
        return "not shown"
    return names[(row["difference"] > 0) != (figure in LOWER_IS_BETTER)]


def _notes(found: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("How to read this")
    yield Paragraph(notes.text(notes.PAIRED))
    yield Paragraph(notes.text(notes.MANY_TESTS.format(tests=found["tests"])))
