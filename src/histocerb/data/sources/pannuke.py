"""PanNuke: nuclei of 19 organs at 40x, 0.25 um per pixel; the colon patches are read.

Layout as published, one archive per fold (or the three arrays together in a folder `fold1`)::

    Fold 1/images/fold1/images.npy      N x 256 x 256 x 3 float64, 0 to 255
    Fold 1/images/fold1/types.npy       N organs, "Colon" and 18 others
    Fold 1/masks/fold1/masks.npy        N x 256 x 256 x 6 float64

Channels of the masks have the ids of one class each: 0 neoplastic, 1 inflammatory, 2 connective, 3 dead,
4 epithelial that is not neoplastic; channel 5 is the background. Ids may be the same in two channels and
are numbered anew; a pixel of two channels is of the first. Some of the three folds are enough. Patients and
slides are not published: each patch counts as one patient, though patches may be of one slide, in one fold or
in several.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.data.class_names import NUCLEI, PANNUKE
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import as_ids, as_rgb, read_npy
from histocerb.data.sources.objects import typed

NAME = "pannuke"
MPP = 0.25
_ORGAN = "colon"
_ARRAYS = ("images", "masks", "types")
_CHANNELS = 6


def pannuke(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of the colon patches of the PanNuke folds in a folder, in order of folds.

    Raises:
        DataError: no folds, an array of a fold is missing, sizes differ, no patch of the colon.
    """
    del options
    entries = []
    for fold, files in sorted(_folds(folder).items()):
        if missing := [name for name in _ARRAYS if name not in files]:
            raise DataError(
                f"{folder}: expected images.npy, masks.npy and types.npy of {fold}, "
                f"found no {' and no '.join(missing)}; complete the download"
            )
        arrays = files["images"], files["masks"]
        for at in _colon(*arrays, files["types"]):
            name = f"{fold}-{at:04d}"
            entries.append(Entry(name, (*arrays, files["types"]), partial(_load, *arrays, at, name)))
    if not entries:
        raise DataError(
            f"{folder}: expected PanNuke's folds (images/fold1/images.npy, ...) with patches of the colon, "
            "found none; give the folder that has them"
        )
    return entries


def _folds(folder: Path) -> dict[str, dict[str, Path]]:
    """The arrays below a folder by fold (`fold1`) and name."""
    folds: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob("*.[nN][pP][yY]")):
        fold = re.sub(r"[\s_-]", "", path.parent.name.lower())
        name = path.stem.lower()
        if name not in _ARRAYS or not re.fullmatch(r"fold\d+", fold):
            continue
        if name in folds.setdefault(fold, {}):
            raise DataError(
                f"{path}: expected one file of {name} for {fold}, found {folds[fold][name]} too; remove one"
            )
        folds[fold][name] = path
    return folds


def _colon(images_path: Path, masks_path: Path, types_path: Path) -> list[int]:
    """Rows of the patches of the colon."""
    images, masks = (read_npy(path, mapped=True) for path in (images_path, masks_path))
    types = read_npy(types_path)
    if images.ndim != 4 or masks.shape != (*images.shape[:3], _CHANNELS):
        raise DataError(
            f"{masks_path}: expected N x H x W x {_CHANNELS} as the images have N x H x W x 3, "
            f"found {masks.shape} and {images.shape}; download them again"
        )
    if types.shape != images.shape[:1] or types.dtype.kind != "U":
        raise DataError(
            f"{types_path}: expected {len(images)} names of organs, "
            f"found {types.dtype} of {types.shape}; download it again"
        )
    return [at for at, organ in enumerate(types.tolist()) if organ.strip().lower() == _ORGAN]


def _load(images_path: Path, masks_path: Path, at: int, name: str) -> Sample:
    image = as_rgb(read_npy(images_path, mapped=True)[at], images_path)
    masks = np.array(read_npy(masks_path, mapped=True)[at])
    ids = np.zeros(image.shape[:2], np.int32)
    channel_of: dict[int, int] = {}
    for channel in PANNUKE:
        number = _renumbered(as_ids(masks[..., channel], masks_path), 1 + len(channel_of))
        ids = np.where(ids > 0, ids, number)
        channel_of |= dict.fromkeys(np.unique(number[number > 0]).tolist(), channel)
    objects = typed(ids, channel_of, PANNUKE, masks_path, drop_unmapped=False)
    return Sample(image, MPP, {NUCLEI.name: objects}, source=NAME, patient=f"{NAME}-{name}", name=name)


def _renumbered(ids: npt.NDArray[np.int32], first: int) -> npt.NDArray[np.int32]:
    """The objects with ids from `first` on, without gaps; 0 stays."""
    present = np.unique(ids[ids > 0])
    return np.where(ids > 0, np.searchsorted(present, ids) + first, 0).astype(np.int32)


DATA_SET = DataSet(
    title="PanNuke: nuclei, 40x; the patches of the colon",
    licence="CC BY-NC-SA 4.0, research only; cite Gamper et al. 2019 and 2020",
    read=pannuke,
    takes=(),
    note="Patients are not published; patches of one slide may come into several folds.",
)
