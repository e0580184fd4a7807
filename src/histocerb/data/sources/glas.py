"""GlaS (Warwick-QU): colorectal glands at 20x, 0.62 um per pixel.

Layout as published, everything in one folder::

    Grade.csv               name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)
    train_1.bmp             image; also as .png
    train_1_anno.bmp        object ids, 0 for background; also as .png, and then perhaps a binary mask
    testA_1.bmp, ...

A binary mask (one value beside 0) gets one id per 8-connected component. `Grade.csv` shows that patients are
shared between the training and test images; our splits go by patient.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.class_names import GLAND, GLAS_CLASS
from histocerb.data.sources.images import read_ids, read_rgb

NAME = "glas"
MPP = 0.62
_LABEL = "_anno"
_ENDINGS = (".png", ".bmp")


def glas(folder: Path) -> Iterator[Sample]:
    """The samples of a GlaS folder, in order of names.

    Raises:
        DataError: no images, an image without its labels, sizes that differ, a name that `Grade.csv` lacks.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    files = {p.stem: p for p in found if p.suffix.lower() in _ENDINGS}
    images = [stem for stem in files if not stem.endswith(_LABEL)]
    if not images:
        raise DataError(
            f"{folder}: expected GlaS images (train_1.png, ...), found none; give the folder that has them"
        )
    patients = _patients(folder / "Grade.csv")
    for stem in images:
        if stem + _LABEL not in files:
            raise DataError(
                f"{files[stem]}: expected {stem + _LABEL} beside it, found none; download the set again"
            )
        if stem not in patients:
            raise DataError(
                f"{folder / 'Grade.csv'}: expected a row for {stem}, found none; download the set again"
            )
        yield _sample(files[stem], files[stem + _LABEL], f"{NAME}-{patients[stem]}")


def _sample(image_path: Path, label_path: Path, patient: str) -> Sample:
    image, ids = read_rgb(image_path), _separate(read_ids(label_path))
    if ids.shape != image.shape[:2]:
        raise DataError(
            f"{label_path}: expected {image.shape[:2]} pixels as in the image, "
            f"found {ids.shape}; download it again"
        )
    classes = {int(k): GLAS_CLASS for k in np.unique(ids) if k}
    return Sample(
        image,
        MPP,
        {GLAND.name: ObjectLabels(ids, classes)},
        source=NAME,
        patient=patient,
        name=image_path.stem,
    )


def _separate(ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Component numbers when `ids` is a mask, else `ids`."""
    if len(np.unique(ids[ids > 0])) != 1:
        return ids
    return np.asarray(cv2.connectedComponents((ids > 0).astype(np.uint8), connectivity=8)[1], np.int32)


def _patients(path: Path) -> dict[str, str]:
    """Patient id per image name."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path}: expected GlaS's table of patients, found {error.strerror}; add it"
        ) from error
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if row]
    if not rows or len(rows[0]) < 2 or "patient" not in rows[0][1].lower():
        raise DataError(
            f"{path}: expected columns `name, patient ID, ...`, found {rows[:1]}; download it again"
        )
    return {row[0]: row[1] for row in rows[1:] if len(row) > 1}
