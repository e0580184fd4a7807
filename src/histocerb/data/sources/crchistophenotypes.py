"""CRCHistoPhenotypes: centres of nuclei of colorectal adenocarcinoma at 20x, 0.5 um per pixel.

Layout as published, in `CRCHistoPhenotypes_2016_04_28/Classification`::

    img1/img1.bmp               500 x 500 RGB
    img1/img1_epithelial.mat    detection N x 2: x, y; also _fibroblast, _inflammatory and _others
    img2/...                    100 images

The centres are MATLAB's: the middle of the first pixel is (1, 1). Ours have pixel corners at integers, where
it is (0.5, 0.5): 0.5 is taken off. A centre up to a pixel outside the image is moved to its edge. Only these
nuclei have a class; those of the folder `Detection` beside it, which are more, have none and are not read.
Patients are not published: each image counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Marks, Sample
from histocerb.core.tasks import MARKS
from histocerb.data.class_names import CRC_HISTO_PHENOTYPES, mapped
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import files_by_stem, read_mat, read_rgb, subfolder

NAME = "crchistophenotypes"
MPP = 0.5
(KIND, _) = MARKS
_SHIFT = -0.5
"""From MATLAB's coordinates to ours."""
_MARGIN = 1.0
"""How far outside the image a centre may be, in pixels."""


def crchistophenotypes(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a CRCHistoPhenotypes folder, in order of names.

    Raises:
        DataError: no such folder, an image without one of its four lists or the reverse.
    """
    inner = subfolder(folder, "CRCHistoPhenotypes_2016_04_28") or folder
    place = subfolder(inner, "Classification") or inner
    entries = []
    for below in sorted(place.iterdir()) if place.is_dir() else []:
        images, lists = files_by_stem(below, (".bmp",)), files_by_stem(below, (".mat",))
        if below.name.startswith(".") or not (images or lists):
            continue
        name = below.name
        if name not in images:
            raise DataError(f"{below}: expected {name}.bmp, found no such image; complete the download")
        by_class = {stem.removeprefix(f"{name}_"): path for stem, path in lists.items()}
        if missing := [cls for cls in CRC_HISTO_PHENOTYPES if cls not in by_class]:
            raise DataError(
                f"{below}: expected centres for {', '.join(CRC_HISTO_PHENOTYPES)}, "
                f"found no {name}_{missing[0]}.mat; complete the download"
            )
        entries.append(
            Entry(
                name, (images[name], *lists.values()), partial(_load, name, images[name], by_class, options)
            )
        )
    if not entries:
        raise DataError(
            f"{folder}: expected Classification/img1/img1.bmp, ... of CRCHistoPhenotypes, found none; "
            "give the folder that has Classification"
        )
    return entries


def _load(name: str, image_path: Path, lists: Mapping[str, Path], options: ReadOptions) -> Sample:
    image = read_rgb(image_path)
    centres: list[npt.NDArray[np.float32]] = []
    classes: list[str] = []
    for cls, path in sorted(lists.items()):
        ours = mapped(cls, CRC_HISTO_PHENOTYPES, path, drop_unmapped=options.drop_unmapped)
        found = _centres(path, image.shape[1], image.shape[0])
        centres.append(found)
        classes += [ours or ""] * len(found)
    points = np.concatenate(centres)
    marks = Marks(np.concatenate([points, points], axis=1), tuple(classes))
    return Sample(image, MPP, source=NAME, patient=f"{NAME}-{name}", name=name, marks={KIND: marks})


def _centres(path: Path, width: int, height: int) -> npt.NDArray[np.float32]:
    """N x 2 (x, y), pixel corners at integers."""
    found = read_mat(path, "detection")["detection"]
    if found.size == 0:
        return np.zeros((0, 2), np.float32)
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iuf":
        raise DataError(
            f"{path}: expected N x 2 centres, found {found.dtype} of {found.shape}; download it again"
        )
    points = found.astype(np.float64) + _SHIFT
    inside = np.clip(points, 0, (width, height))
    if not (np.abs(points - inside) <= _MARGIN).all():
        raise DataError(
            f"{path}: expected centres in the image of {width} x {height} pixels, found others; "
            "download it again"
        )
    return inside.astype(np.float32)


DATA_SET = DataSet(
    title="CRCHistoPhenotypes: centres of nuclei of colorectal adenocarcinoma, 20x",
    licence="as its authors state; cite Sirinukunwattana et al. 2016",
    read=crchistophenotypes,
    note="Centres only. Patients are not published; images of one patient may come into several folds.",
)
