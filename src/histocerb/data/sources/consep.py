"""CoNSeP: nuclei of colorectal adenocarcinoma at 40x, 0.25 um per pixel.

Layout as published, in `Train` and in `Test`::

    Images/train_1.png      1000 x 1000 RGB(A)
    Labels/train_1.mat      inst_map H x W ids, type_map H x W, inst_type N x 1, inst_centroid N x 2

Types are 1 other, 2 inflammatory, 3 healthy epithelial, 4 dysplastic epithelial, 5 fibroblast, 6 muscle,
7 endothelial; a folder without any above 4 has the authors' merged types (3 epithelial, 4 spindle-shaped).
Patients are not published: each image counts as one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io
from scipy.io.matlab import MatReadError

from histocerb.core.errors import DataError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.class_names import CONSEP_MERGED, CONSEP_ORIGINAL, NUCLEI
from histocerb.data.sources.images import read_rgb

NAME = "consep"
MPP = 0.25


def consep(folder: Path) -> Iterator[Sample]:
    """The samples of a CoNSeP folder (`Train`, `Test`, or one that holds both), in order of names.

    Raises:
        DataError: no labels, labels without their image, sizes that differ, a type that is not known.
    """
    labels = sorted(folder.glob("**/Labels/*.mat"))
    if not labels:
        raise DataError(
            f"{folder}: expected Images/*.png and Labels/*.mat, found no labels; give the folder above them"
        )
    highest = max(int(_load(path, "inst_type")["inst_type"].max(initial=0)) for path in labels)
    names = CONSEP_ORIGINAL if highest > max(CONSEP_MERGED) else CONSEP_MERGED
    for path in labels:
        image = read_rgb(path.parent.parent / "Images" / f"{path.stem}.png")
        found = _objects(path, names)
        if found.ids.shape != image.shape[:2]:
            raise DataError(
                f"{path}: expected {image.shape[:2]} pixels as in the image, "
                f"found {found.ids.shape}; download it again"
            )
        yield Sample(
            image, MPP, {NUCLEI.name: found}, source=NAME, patient=f"{NAME}-{path.stem}", name=path.stem
        )


def _load(path: Path, *names: str) -> dict[str, npt.NDArray[Any]]:
    try:
        content = scipy.io.loadmat(path, variable_names=names)
        return {name: content[name] for name in names}
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, MatReadError, zlib.error) as error:
        raise DataError(
            f"{path}: expected MATLAB arrays {' and '.join(names)}, found {error}; download it again"
        ) from error


def _objects(path: Path, names: Mapping[int, str | None]) -> ObjectLabels:
    content = _load(path, "inst_map", "inst_type")
    ids = content["inst_map"].astype(np.int32)
    present = np.unique(ids[ids > 0])
    types = content["inst_type"].ravel().astype(int)
    if len(types) == len(present):  # in order of ids
        type_of = dict(zip(present.tolist(), types.tolist(), strict=True))
    elif len(present) and len(types) >= present.max():  # one per number, some without pixels
        type_of = {int(k): int(types[k - 1]) for k in present}
    else:
        raise DataError(
            f"{path}: expected one type for each of {len(present)} nuclei, "
            f"found {len(types)}; download it again"
        )
    unknown = sorted(set(type_of.values()) - set(names))
    if unknown:
        raise DataError(
            f"{path}: expected types {sorted(names)}, found {unknown}; add them to data/class_names.py"
        )
    return ObjectLabels(ids, {k: name for k, t in type_of.items() if (name := names[t]) is not None})
