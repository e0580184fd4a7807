"""CoNSeP: nuclei of colorectal adenocarcinoma at 40x, 0.25 um per pixel.

Layout as published, in `Train` (27 images) and in `Test` (14)::

    Images/train_1.png      1000 x 1000 RGB(A)
    Labels/train_1.mat      inst_map H x W ids, type_map H x W, inst_type N x 1, inst_centroid N x 2

Types are 1 other, 2 inflammatory, 3 healthy epithelial, 4 dysplastic epithelial, 5 fibroblast, 6 muscle,
7 endothelial; a folder without any of 5 to 7 has the authors' merged types (3 epithelial, 4 spindle-shaped).
`inst_type` is in order of ids; with numbers that have no pixels, it has a row for each number from 1.
Patients are not published (16 of them): each image counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.data.class_names import CONSEP_MERGED, CONSEP_ORIGINAL, NUCLEI
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import (
    as_codes,
    as_ids,
    files_by_stem,
    in_both,
    read_mat,
    read_rgb,
    same_size,
    subfolder,
)
from histocerb.data.sources.objects import typed

NAME = "consep"
MPP = 0.25


def consep(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a CoNSeP folder (`Train`, `Test`, or one that holds both), in order of names.

    Raises:
        DataError: no such folder, an image without labels or the reverse, types that cannot be read.
    """
    files: dict[str, tuple[Path, Path]] = {}
    for part in _parts(folder):
        images = files_by_stem(subfolder(part, "Images") or part / "Images", (".png",))
        labels = files_by_stem(subfolder(part, "Labels") or part / "Labels", (".mat",))
        for name in in_both(images, labels, part):
            if name in files:
                raise DataError(
                    f"{images[name]}: expected other names than in {files[name][0].parent}, "
                    "found the same; remove one"
                )
            files[name] = images[name], labels[name]
    if not files:
        raise DataError(
            f"{folder}: expected Images/*.png and Labels/*.mat of CoNSeP, found no such folders; "
            "give the folder that has Train and Test"
        )
    types = {code for _, path in files.values() for code in as_codes(*_types(path))}
    only_original = set(CONSEP_ORIGINAL) - set(CONSEP_MERGED)
    table = CONSEP_ORIGINAL if types & only_original else CONSEP_MERGED
    return [
        Entry(name, files[name], partial(_load, name, *files[name], table, options)) for name in sorted(files)
    ]


def _parts(folder: Path) -> list[Path]:
    if subfolder(folder, "Images", "Labels"):
        return [folder]
    below = [subfolder(folder, name) for name in (NAME, "Test", "Train")]
    return [part for found in below if found for part in _parts(found)]


def _types(path: Path) -> tuple[npt.NDArray[np.generic], Path]:
    return read_mat(path, "inst_type")["inst_type"], path


def _load(
    name: str, image_path: Path, label_path: Path, table: Mapping[int, str | None], options: ReadOptions
) -> Sample:
    image = read_rgb(image_path)
    content = read_mat(label_path, "inst_map", "inst_type")
    ids = as_ids(content["inst_map"], label_path)
    same_size(label_path, ids, image)
    code_of = _by_id(ids, as_codes(content["inst_type"], label_path), label_path)
    objects = typed(ids, code_of, table, label_path, drop_unmapped=options.drop_unmapped)
    return Sample(image, MPP, {NUCLEI.name: objects}, source=NAME, patient=f"{NAME}-{name}", name=name)


def _by_id(ids: npt.NDArray[np.int32], types: list[int], path: Path) -> dict[int, int]:
    present = [int(k) for k in np.unique(ids) if k]
    if len(types) == len(present):
        return dict(zip(present, types, strict=True))
    if present and len(types) >= present[-1]:
        return {k: types[k - 1] for k in present}
    raise DataError(
        f"{path}: expected one type for each of {len(present)} nuclei, found {len(types)}; download it again"
    )


DATA_SET = DataSet(
    title="CoNSeP: nuclei of colorectal adenocarcinoma, 40x",
    licence="as its authors state; cite Graham et al. 2019 (HoVer-Net)",
    read=consep,
    note=(
        "Patients are not published; images of one patient may come into several folds. A folder in which no "
        "type is above 4 is read as the authors' four merged types, in which 4 is spindle-shaped."
    ),
)
