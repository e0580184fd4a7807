"""Slides that failed, and why: one small file each, and `failures.csv` over all of them."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from operator import eq
from pathlib import Path

from histocerb.inference.atomic import whole_file
from histocerb.inference.cohort.shared import write_until_true
from histocerb.inference.manifest import write_json

FAILURES_FILE = "failures.csv"
REASON = "reason"

_HEADINGS = ("slide", "mpp", "name", REASON)
"""Carried columns follow, so that the table is one of slides, too."""
_RECORD, _END = ".failed.", ".json"
"""A record per slide has one writer at a time, as the folder of the slide has; the table is made from all."""


@dataclass(frozen=True)
class Failure:
    """A slide that could not be segmented when it was tried last.

    Attributes:
        slide: its file.
        name: of its result folder.
        reason: one sentence.
        mpp: micrometres per pixel that it was to have; None: what the file says.
        columns: what was carried along with it, by name.
        other_result: its folder holds the result of other inputs, which is not one of this cohort.
    """

    slide: str
    name: str
    reason: str
    mpp: float | None = None
    columns: dict[str, str] = field(default_factory=dict)
    other_result: bool = False


def remember(out: Path, failure: Failure) -> None:
    """Keep a failure; the table is for `write_failures`, which reads all of them."""
    write_json(_record(out, failure.name), asdict(failure))


def forget(out: Path, name: str) -> None:
    """A slide has no failure any more; see `remember`."""
    _record(out, name).unlink(missing_ok=True)


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
        carried = [name for failure in failures.values() for name in failure.columns]
        writer = csv.DictWriter(file, list(dict.fromkeys([*_HEADINGS, *carried])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_row, failures.values()))


def _row(failure: Failure) -> dict[str, str | float | None]:
    own = (failure.slide, failure.mpp, failure.name, failure.reason)
    return {**failure.columns, **dict(zip(_HEADINGS, own, strict=True))}


def _record(out: Path, name: str) -> Path:
    return out / f"{_RECORD}{name}{_END}"
