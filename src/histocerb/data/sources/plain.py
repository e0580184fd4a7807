"""Plain folders: images, and label images of the same names.

::

    images/a.png ...        RGB images of any usual format
    labels/a.png ...        ids of objects, 0 for background: PNG, BMP or TIFF with one channel, or .npy
    classes.csv             optional: stem, id, class; one row per object whose class is known
    patients.csv            optional: stem, patient; one row per image

All objects are of one task. Classes are ours, or what `classes` maps to ours. Nothing in the folder tells the
task and the resolution: both have to be given. Without `patients.csv` every image counts as a patient, apart
from TCGA's; with it, a name is the same patient in whatever source it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from histocerb.core.errors import DataError, UsageError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.class_names import mapped, object_task, own_names
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import (
    IMAGE_ENDINGS,
    files_by_stem,
    in_both,
    read_ids,
    read_rgb,
    read_table,
    same_size,
    stem_among,
    subfolder,
    tcga_patient,
)
from histocerb.data.sources.patients import PATIENTS_FILE, read_patients

NAME = "folder"
_TABLE = "classes.csv"
_LABEL_ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".npy")


def plain(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of such a folder, in order of names.

    Raises:
        UsageError: no task or no resolution is given.
        DataError: no such folders, an image without labels or the reverse, a table that contradicts them.
    """
    task, mpp = object_task(options.task), options.mpp
    if mpp is None or not mpp > 0:
        raise UsageError(
            f"expected the resolution of {folder} in micrometres per pixel, found {mpp}; give it with --mpp"
        )
    images = files_by_stem(subfolder(folder, "images") or folder / "images", IMAGE_ENDINGS)
    labels = files_by_stem(subfolder(folder, "labels") or folder / "labels", _LABEL_ENDINGS)
    names = in_both(images, labels, folder)
    table = folder / _TABLE
    known = own_names(task) | dict(options.classes)
    classes = _classes(table, names, known, options) if table.exists() else {}
    if unknown := sorted(set(classes) - set(names)):
        raise DataError(f"{table}: expected names of images, found {unknown[0]}; complete {folder}")
    patients = read_patients(folder, names)
    entries = []
    for name in names:
        tables = ([table] if name in classes else []) + ([folder / PATIENTS_FILE] if patients else [])
        patient = patients.get(name) or _own_patient(name)
        load = partial(_load, images[name], labels[name], mpp, task.name, classes.get(name, {}), patient)
        entries.append(Entry(name, (images[name], labels[name], *tables), load))
    return entries


def _own_patient(name: str) -> str:
    return tcga_patient(name) or f"{NAME}-{name}"


def _classes(
    path: Path, names: Sequence[str], table: Mapping[str, str | None], options: ReadOptions
) -> dict[str, dict[int, str | None]]:
    """Class per id and image."""
    found: dict[str, dict[int, str | None]] = defaultdict(dict)
    for row in read_table(path, "stem", "id", "class"):
        stem, text = stem_among(row["stem"], names), row["id"]
        number = int(text) if text.isdecimal() else 0
        if number < 1 or number in found[stem]:
            what = f"{text} of {stem} twice" if number in found[stem] else repr(text)
            raise DataError(f"{path}: expected one row per id from 1, found {what}; correct it")
        found[stem][number] = mapped(row["class"], table, path, drop_unmapped=options.drop_unmapped)
    return dict(found)


def _load(
    image_path: Path,
    label_path: Path,
    mpp: float,
    task: str,
    classes: Mapping[int, str | None],
    patient: str,
) -> Sample:
    image, ids = read_rgb(image_path), read_ids(label_path)
    same_size(label_path, ids, image)
    if absent := sorted(set(classes) - set(np.unique(ids).tolist())):
        raise DataError(
            f"{label_path}: expected pixels of every id in {_TABLE}, found none of {absent[:5]}; "
            "correct one of them"
        )
    name = image_path.stem
    return Sample(
        image,
        mpp,
        {task: ObjectLabels(ids, {k: found for k, found in classes.items() if found is not None})},
        source=NAME,
        patient=patient,
        name=name,
    )


DATA_SET = DataSet(
    title="Plain folders of images and label images",
    licence="",
    read=plain,
    takes=("drop_unmapped", "mpp", "classes", "task"),
    note=f"Without {PATIENTS_FILE} (stem, patient) each image counts as a patient, apart from TCGA's.",
)
