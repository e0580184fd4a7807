"""Lizard: nuclei of the colon at 20x, 0.5 um per pixel.

Layout as published (three archives; with or without the repeated inner folder that they unpack to)::

    lizard_images1/Lizard_Images1/consep_1.png, crag_1.png, ...
    lizard_images2/Lizard_Images2/dpath_1.png, glas_1.png, pannuke_1.png, ...
    lizard_labels/Lizard_Labels/info.csv            Filename, Source, Split (fold 1 to 3), one row per image
    lizard_labels/Lizard_Labels/Labels/consep_1.mat inst_map H x W ids; id N x 1, class N x 1, bbox N x 4,
                                                    centroid N x 2

Rows of `id`, `class`, `bbox` and `centroid` belong together; they are in no order that matters, and may be of
ids without pixels. Classes are 1 neutrophil, 2 epithelial, 3 lymphocyte, 4 plasma, 5 eosinophil,
6 connective tissue. 238 images are published; those from TCGA are held back. Patients are not: each image
counts as one. Images come from GlaS, CRAG, CoNSeP, DigestPath and PanNuke under other names, so that only
their pixels tell that they are in those sets too.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.data.class_names import LIZARD, NUCLEI
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import (
    as_codes,
    as_ids,
    files_by_stem,
    in_both,
    read_mat,
    read_rgb,
    read_table,
    same_size,
    stem_in_table,
    subfolder,
    tcga_patient,
)
from histocerb.data.sources.objects import typed

NAME = "lizard"
MPP = 0.5
_IMAGES = ("lizard_images1", "lizard_images2")
_LABELS = "lizard_labels"


def lizard(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a Lizard folder, in order of names.

    Raises:
        DataError: one of the three archives is missing, an image without labels or without a row in the
            table, labels or a row without image.
    """
    images: dict[str, Path] = {}
    for archive in _IMAGES:
        found = files_by_stem(_unpacked(folder, archive), (".png",))
        if twice := sorted(set(found) & set(images)):
            raise DataError(
                f"{found[twice[0]]}: expected images to be in one archive, "
                f"found {images[twice[0]]} too; remove one"
            )
        images |= found
    below = _unpacked(folder, _LABELS)
    labels = files_by_stem(subfolder(below, "Labels") or below / "Labels", (".mat",))
    table = files_by_stem(below, (".csv",)).get("info", below / "info.csv")
    rows = {stem_in_table(row["Filename"]): row["Source"] for row in read_table(table, "Filename", "Source")}
    names = in_both(images, labels, folder)
    for missing, what in ((set(images) - set(rows), "row"), (set(rows) - set(images), "image")):
        if missing:
            raise DataError(
                f"{table}: expected as many rows as images, found {len(rows)} and {len(images)}, "
                f"with no {what} for {min(missing)}; download the set again"
            )
    return [
        Entry(
            name,
            (images[name], labels[name], table),
            partial(_load, images[name], labels[name], rows[name], options),
        )
        for name in names
    ]


def lizard_patient(image: str) -> str:
    """Patient of a Lizard image, for its crops in other sets too: its TCGA case, else the image itself."""
    return tcga_patient(image) or f"{NAME}-{image}"


def _unpacked(folder: Path, archive: str) -> Path:
    found = subfolder(folder, archive)
    if found is None:
        raise DataError(
            f"{folder}: expected {', '.join((*_IMAGES, _LABELS))}, found no {archive}; complete the download"
        )
    return subfolder(found, archive) or found


def _load(image_path: Path, label_path: Path, centre: str, options: ReadOptions) -> Sample:
    image = read_rgb(image_path)
    content = read_mat(label_path, "inst_map", "id", "class")
    ids = as_ids(content["inst_map"], label_path)
    same_size(label_path, ids, image)
    named, codes = (as_codes(content[key], label_path) for key in ("id", "class"))
    code_of = dict(zip(named, codes, strict=False))
    if len(named) != len(codes) or len(set(zip(named, codes, strict=True))) != len(code_of):
        raise DataError(
            f"{label_path}: expected one class for each of {len(set(named))} ids, "
            f"found {len(named)} ids and {len(codes)} classes; download it again"
        )
    objects = typed(ids, code_of, LIZARD, label_path, drop_unmapped=options.drop_unmapped)
    return Sample(
        image,
        MPP,
        {NUCLEI.name: objects},
        source=NAME,
        patient=lizard_patient(image_path.stem),
        name=image_path.stem,
        centre=centre,
    )


DATA_SET = DataSet(
    title="Lizard: nuclei of the colon, 20x",
    licence="CC BY-NC-SA 4.0, research only; cite Graham et al. 2021 (Lizard)",
    read=lizard,
    note=(
        "Its images are of GlaS, CRAG, CoNSeP, DigestPath and PanNuke; look for duplicates between sources. "
        "Patients are published of those of TCGA alone; the others count as one each."
    ),
)
