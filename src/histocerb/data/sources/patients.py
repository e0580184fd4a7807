"""Whose the images of a folder are: `patients.csv` (stem, patient), one row per image.

A name is the same patient in whatever source it stands.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from histocerb.core.errors import DataError
from histocerb.data.sources.images import read_table, stem_among

PATIENTS_FILE = "patients.csv"


def read_patients(folder: Path, names: Collection[str]) -> dict[str, str]:
    """Patient of every image of a folder, by name without ending; {} where there is no such table.

    Raises:
        DataError: an image without a row or with several patients, a row of no image.
    """
    path = folder / PATIENTS_FILE
    found: dict[str, str] = {}
    for row in read_table(path, "stem", "patient") if path.exists() else []:
        stem = stem_among(row["stem"], names)
        if not row["patient"] or found.setdefault(stem, row["patient"]) != row["patient"]:
            what = "none" if not row["patient"] else f"{found[stem]} and {row['patient']}"
            raise DataError(f"{path}: expected one patient of {stem}, found {what}; correct it")
    odd = sorted(set(found) ^ set(names)) if path.exists() else []
    if odd:
        what = f"none of {odd[0]}" if odd[0] in names else f"one of {odd[0]}, which is no image"
        raise DataError(f"{path}: expected a row per image, found {what}; correct it")
    return found
