"""The CSV table of a cohort: one row per slide, with what is to be carried along."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.failures import FAILURES_FILE, REASON
from histocerb.inference.cohort.slides import CohortSlide, check_name
from histocerb.slides.remote import Place, RemoteFile, is_url, place

SLIDE, MPP, NAME = "slide", "mpp", "name"
OWN_COLUMNS = (SLIDE, MPP, NAME)


def read_table(path: Place) -> list[CohortSlide]:
    """The slides of a CSV table.

    The column `slide` is needed: a file, by its whole path or relative to the table, or a URL. `mpp`
    (micrometres per pixel) and `name` (of the result folder) may be there and may be empty. All other columns
    are carried along, but for those without a heading, and the `reason` of a `failures.csv`.

    Raises:
        UsageError: The file or one of its rows is not like that; two rows have one name.
    """
    header, rows = _rows(path)
    slides = [_slide(path, line, dict(zip(header, row, strict=True))) for line, row in rows]
    if not slides:
        raise UsageError(f"{path}: expected a row per slide, found none; add rows below the headings")
    name, count = Counter(slide.name for slide in slides).most_common(1)[0]
    if count > 1:
        raise UsageError(
            f"{path}: expected slides of different names, found {count} called {name!r}; "
            f"give them different names in the column `{NAME}`"
        )
    return slides


def _rows(path: Place) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The headings, and the rows that are not empty, with their line numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{path}: expected a CSV table in UTF-8, found one that cannot be read ({reason}); "
            "mend or replace it"
        ) from None
    header = lines[0][1] if lines else []
    if SLIDE not in header:
        raise UsageError(
            f"{path}: expected a column `{SLIDE}`, found {', '.join(header) or 'nothing'}; "
            "write the headings into the first line, with commas between"
        )
    twice = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if twice:
        raise UsageError(f"{path}: expected different headings, found `{twice[0]}` twice; rename one")
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise UsageError(
                f"{path}, line {line}: expected {len(header)} cells as in the first line, found {len(row)}; "
                "put cells with commas into double quotes"
            )
    return header, lines[1:]


def _slide(table: Place, line: int, row: dict[str, str]) -> CohortSlide:
    where = f"{table}, line {line}"
    if not row[SLIDE]:
        raise UsageError(f"{where}: expected a slide, found an empty cell; name a file or remove the row")
    path = _file(table.parent, row[SLIDE])
    name = check_name(row.get(NAME) or path.stem, where)
    own = (*OWN_COLUMNS, REASON) if table.name == FAILURES_FILE else OWN_COLUMNS
    columns = {key: cell for key, cell in row.items() if key and key not in own}
    return CohortSlide(path, name, _mpp(where, row.get(MPP, "")), columns)


def _file(folder: Place, cell: str) -> Place:
    """What a cell names; whole paths are those of this machine, also in a table in a store."""
    if is_url(cell):
        return place(cell)
    if isinstance(folder, RemoteFile) and not Path(cell).is_absolute():
        return folder.joined(cell)
    return folder / cell if isinstance(folder, Path) else Path(cell)


def _mpp(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        mpp = float(text)
    except ValueError:
        mpp = math.nan
    if not 0 < mpp < math.inf:
        raise UsageError(
            f"{where}: expected micrometres per pixel in the column `{MPP}`, found {text!r}; "
            "write a number such as 0.25, or leave the cell empty"
        )
    return mpp
