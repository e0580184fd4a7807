"""GlaS (Warwick-QU): colorectal glands at 20x, 0.62 um per pixel.

Layout as published, everything in one folder::

    Grade.csv               name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)
    train_1.bmp             image; also as .png
    train_1_anno.bmp        object ids, 0 for background; also as .png, and then perhaps a binary mask
    testA_1.bmp, ...

A binary mask (one value beside 0) gets one id per 8-connected component. `Grade.csv` shows that patients are
shared between the training and test images; our splits go by patient. All images are from one hospital.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.data.class_names import GLAND, GLAS_CLASS
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import (
    files_by_stem,
    in_both,
    read_ids,
    read_rgb,
    read_table,
    same_size,
    stem_in_table,
)
from histocerb.data.sources.objects import of_one_class

NAME = "glas"
MPP = 0.62
CENTRE = "UHCW"
_LABEL = "_anno"
_TABLE = "Grade.csv"


def glas(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a GlaS folder, in order of names.

    Raises:
        DataError: no images, an image without its labels or the reverse, a name that `Grade.csv` lacks.
    """
    files = files_by_stem(folder, (".bmp", ".png"))
    images = {stem: path for stem, path in files.items() if not stem.endswith(_LABEL)}
    labels = {stem.removesuffix(_LABEL): path for stem, path in files.items() if stem.endswith(_LABEL)}
    if not images:
        raise DataError(
            f"{folder}: expected GlaS images (train_1.png, ...), found none; give the folder that has them"
        )
    table = folder / _TABLE
    rows = read_table(table, "name", "patient ID")
    patients = {stem_in_table(row["name"]): row["patient ID"] for row in rows}
    names = in_both(images, labels, folder)
    if lacking := [name for name in names if not patients.get(name)]:
        raise DataError(
            f"{table}: expected a row with the patient of {lacking[0]}, found none; download the set again"
        )
    return [
        Entry(
            name,
            (images[name], labels[name], table),
            partial(_load, images[name], labels[name], f"{NAME}-{patients[name]}"),
        )
        for name in names
    ]


def _load(image_path: Path, label_path: Path, patient: str) -> Sample:
    image, ids = read_rgb(image_path), _separate(read_ids(label_path))
    same_size(label_path, ids, image)
    return Sample(
        image,
        MPP,
        {GLAND.name: of_one_class(ids, GLAS_CLASS)},
        source=NAME,
        patient=patient,
        name=image_path.stem,
        centre=CENTRE,
    )


def _separate(ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Component numbers when `ids` is a mask, else `ids`."""
    if len(np.unique(ids[ids > 0])) != 1:
        return ids
    return np.asarray(cv2.connectedComponents((ids > 0).astype(np.uint8), connectivity=8)[1], np.int32)


DATA_SET = DataSet(
    title="GlaS (Warwick-QU): colorectal glands, 20x",
    licence="research only, no commercial use; cite Sirinukunwattana et al. 2017",
    read=glas,
    takes=(),
    note="GlaS's own training and test images share patients; splits go by the patients in Grade.csv.",
)
