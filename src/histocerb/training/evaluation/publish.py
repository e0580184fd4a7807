"""A report on disk: JSON, and beside it Markdown, HTML and pictures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from histocerb.core.errors import OutputError, UsageError
from histocerb.training.evaluation.blocks import Block, Picture
from histocerb.training.evaluation.comparison import report_on_both
from histocerb.training.evaluation.content import charts, report_on
from histocerb.training.evaluation.gallery import Gallery, Shot
from histocerb.training.evaluation.html import html
from histocerb.training.evaluation.markdown import markdown

_OURS = re.compile(r"-(calibration|froc)\.svg$|-(worst|best)-\d+\.jpg$")
"""Ends of the names of a report's pictures."""


def check_place(path: Path) -> None:
    """Refuse a place where no report can be written, before any work is done.

    Raises:
        UsageError: not a name that ends in .json.
        OutputError: the folder cannot be written to.
    """
    if path.suffix != ".json":
        raise UsageError(f"expected a report REPORT.json, found {path.name!r}; end --out in .json")
    probe = path.with_name(f".{path.name}.probe")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        if path.is_dir():
            raise IsADirectoryError(0, "a folder of that name")
    except OSError as error:
        raise OutputError(
            f"expected to write {path}, found: {error.strerror}; choose another --out"
        ) from error


def publish(path: Path, document: Mapping[str, Any], gallery: Gallery | None = None) -> None:
    """Write the report on one model: `path`, the same with .md and .html, and a folder of pictures.

    Args:
        path: REPORT.json.
        document: of `measure`.
        gallery: best and worst images, if there are pictures of them.

    Raises:
        OutputError: something cannot be written.
    """
    folder = path.with_name(f"{path.stem}_images")
    files: dict[str, bytes] = {}
    pictures: dict[str, list[Picture]] = {}
    for task, name, text, svg in charts(document):
        file = f"{task}-{name}.svg"
        files[file] = svg.encode()
        pictures.setdefault(task, []).append(Picture(f"{folder.name}/{file}", text))
    for task, kind, number, shot in _shots(gallery) if gallery else ():
        file = f"{task}-{kind}-{number}.jpg"
        files[file] = shot.jpeg
        text = f"{task}, {kind} {number}: {shot.key}, PQ {shot.pq:.3f}"
        pictures.setdefault(task, []).append(Picture(f"{folder.name}/{file}", text))
    _write_all(path, document, report_on(document, pictures), folder, files)


def publish_comparison(
    path: Path, first: Mapping[str, Any], second: Mapping[str, Any], found: Mapping[str, Any]
) -> None:
    """Write the report on two models: `path` with both documents, the same with .md and .html.

    Raises:
        OutputError: something cannot be written.
    """
    document = {"comparison": found, "documents": [first, second]}
    _write_all(path, document, report_on_both(found), path.with_name(f"{path.stem}_images"), {})


def _shots(gallery: Gallery) -> Iterator[tuple[str, str, int, Shot]]:
    for task in gallery.shots:
        for kind, shots in (("worst", gallery.worst(task)), ("best", gallery.best(task))):
            for number, shot in enumerate(shots, start=1):
                yield task, kind, number, shot


def _write_all(
    path: Path, document: Mapping[str, Any], blocks: Sequence[Block], folder: Path, files: Mapping[str, bytes]
) -> None:
    """Pictures first, the JSON last: where it is, all of it is. Pictures of the report before are removed."""
    try:
        for old in _shown_before(path.with_suffix(".md"), folder):
            if old.name not in files:
                old.unlink()
        if files:
            folder.mkdir(exist_ok=True)
        for name, content in files.items():
            _write(folder / name, content)
        _write(path.with_suffix(".md"), markdown(blocks).encode())
        _write(path.with_suffix(".html"), html(blocks).encode())
        _write(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise OutputError(
            f"expected to write the report {path}, found: {error.strerror}; choose another --out"
        ) from error


def _shown_before(report: Path, folder: Path) -> list[Path]:
    """Pictures of the report that is there; what else lies in their folder is someone else's."""
    text = report.read_bytes() if report.is_file() else b""
    found = (path for path in folder.glob("*") if _OURS.search(path.name))
    return [path for path in found if f"<{folder.name}/{path.name}>".encode() in text]


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(content)
    os.replace(temporary, path)
