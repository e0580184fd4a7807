"""Slides that failed, and why: one small file each, and `failures.csv` over all of them."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, fields
from operator import eq
from pathlib import Path

from histocerb.inference.atomic import whole_file
from histocerb.inference.cohort.shared import write_until_true
from histocerb.inference.manifest import write_json

FAILURES_FILE = "failures.csv"

_RECORD, _END = ".failed.", ".json"
"""A record per slide has one writer at a time, as the folder of the slide has; the table is made from all."""


@dataclass(frozen=True)
class Failure:
    """A slide that has no result.

    Attributes:
        slide: its file.
        name: of its result folder.
        reason: one sentence.
    """

    slide: str
    name: str
    reason: str


def remember(out: Path, failure: Failure) -> None:
    """Keep a failure, and write the table anew."""
    write_json(_record(out, failure.name), asdict(failure))
    write_failures(out)


def forget(out: Path, name: str) -> None:
    """A slide has no failure any more; the table is written anew if it had one."""
    record = _record(out, name)
    if record.exists():
        record.unlink(missing_ok=True)
        write_failures(out)


def read_failures(out: Path) -> dict[str, Failure]:
    """All failures by name, in the order of names; records that cannot be read are left out."""
    found = []
    for path in out.glob(f"{_RECORD}*{_END}"):
        try:
            found.append(Failure(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):  # forgotten by another process meanwhile, or damaged
            continue
    return {failure.name: failure for failure in sorted(found, key=lambda failure: failure.name)}


def write_failures(out: Path) -> None:
    """Write `failures.csv` from the records; without any there is no such file."""
    write_until_true(lambda: read_failures(out), lambda found: _write(out / FAILURES_FILE, found), eq)


def _write(path: Path, failures: dict[str, Failure]) -> None:
    if not failures:
        path.unlink(missing_ok=True)
        return
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Failure)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(failure) for failure in failures.values())


def _record(out: Path, name: str) -> Path:
    return out / f"{_RECORD}{name}{_END}"
