"""CoNIC: patches of Lizard, 20x, 0.5 um per pixel.

Layout as published, everything in one folder::

    images.npy          N x 256 x 256 x 3 uint8
    labels.npy          N x 256 x 256 x 2 uint16: ids (from 1 in each patch), classes
    counts.csv          N rows: neutrophil, epithelial, lymphocyte, plasma, eosinophil, connective
    patch_info.csv      N rows, one column `patch_info`: consep_1-0000 is patch 0 of Lizard's consep_1

N is 4,981. Classes are those of Lizard. `counts.csv` has the nuclei per class of (users report) the central
224 x 224 pixels, so that it differs from the labels at the margins; only its number of rows is compared.
Patients are those of the Lizard images, so that a patch is never apart from its image; without
`patch_info.csv` nobody can tell which patches are neighbours, and all count as one patient.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.data.class_names import LIZARD, NUCLEI
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import as_codes, as_ids, as_rgb, files_by_stem, read_npy, read_table
from histocerb.data.sources.lizard import lizard_patient
from histocerb.data.sources.objects import typed

NAME = "conic"
MPP = 0.5


def conic(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a CoNIC folder, in order of names (of Lizard's images, where they are known).

    Raises:
        DataError: an array or `counts.csv` is missing, sizes or numbers of rows differ.
    """
    files = files_by_stem(folder, (".npy",)) | files_by_stem(folder, (".csv",))
    if missing := [name for name in ("images", "labels", "counts") if name not in files]:
        raise DataError(
            f"{folder}: expected images.npy, labels.npy and counts.csv of CoNIC, "
            f"found no {' and no '.join(missing)}; complete the folder"
        )
    arrays = files["images"], files["labels"]
    images, labels = (read_npy(path, mapped=True) for path in arrays)
    if images.ndim != 4 or labels.shape != (*images.shape[:3], 2) or 0 in images.shape:
        raise DataError(
            f"{arrays[1]}: expected N x H x W x 2 as {arrays[0].name} has N x H x W x 3, "
            f"found {labels.shape} and {images.shape}; download them again"
        )
    _same_rows(files["counts"], len(read_table(files["counts"])), len(images))
    places = _places(files.get("patch_info"), len(images))
    return [
        Entry(name, arrays, partial(_load, arrays, at, name, image, options))
        for name, (at, image) in sorted(places.items())
    ]


def _places(table: Path | None, count: int) -> dict[str, tuple[int, str]]:
    """Row and Lizard image ("" where it is not known) by name of the patch."""
    if table is None:
        return {f"patch-{at:04d}": (at, "") for at in range(count)}
    names = [row["patch_info"] for row in read_table(table, "patch_info")]
    _same_rows(table, len(names), count)
    places = {name: (at, name.rpartition("-")[0]) for at, name in enumerate(names)}
    if len(places) < count or not all(image for _, image in places.values()):
        raise DataError(
            f"{table}: expected names like consep_1-0000, each once, found others; download it again"
        )
    return places


def _same_rows(table: Path, found: int, expected: int) -> None:
    if found != expected:
        raise DataError(f"{table}: expected {expected} rows, one per patch, found {found}; download it again")


def _load(arrays: tuple[Path, Path], at: int, name: str, image: str, options: ReadOptions) -> Sample:
    pixels = as_rgb(read_npy(arrays[0], mapped=True)[at], arrays[0])
    labels = np.array(read_npy(arrays[1], mapped=True)[at])
    ids = as_ids(labels[..., 0], arrays[1])
    code_of = _codes(ids, labels[..., 1], at, arrays[1])
    objects = typed(ids, code_of, LIZARD, arrays[1], drop_unmapped=options.drop_unmapped)
    return Sample(
        pixels,
        MPP,
        {NUCLEI.name: objects},
        source=NAME,
        patient=lizard_patient(image) if image else f"{NAME}-unknown",
        name=name,
        centre=image.partition("_")[0],
    )


def _codes(ids: npt.NDArray[np.int32], classes: npt.NDArray[Any], at: int, path: Path) -> dict[int, int]:
    codes = np.array(as_codes(classes, path)).reshape(ids.shape)
    pairs = np.unique(np.stack([ids, codes], axis=-1).reshape(-1, 2), axis=0)
    code_of = {int(k): int(code) for k, code in pairs if k}
    if len(code_of) != np.count_nonzero(pairs[:, 0]) or not ((pairs[:, 0] > 0) == (pairs[:, 1] > 0)).all():
        raise DataError(
            f"{path}: expected one class per nucleus and none outside, found others in patch {at}; "
            "download it again"
        )
    return code_of


DATA_SET = DataSet(
    title="CoNIC 2022: patches of Lizard, 20x",
    licence="CC BY-NC-SA 4.0, research only; cite Graham et al. 2021 (CoNIC, Lizard)",
    read=conic,
    note=(
        "Its patches are cut from Lizard's images and have their patients. Those images come from GlaS, "
        "CRAG, CoNSeP, DigestPath and PanNuke; a crop is not found as a duplicate of its image in those."
    ),
)
