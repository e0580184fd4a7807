"""MoNuSeg: nuclei of several organs from TCGA at 40x, 0.25 um per pixel, without classes.

Layout as published; training and test data may lie in one folder::

    MoNuSeg 2018 Training Data/Tissue Images/TCGA-A7-A13E-01Z-00-DX1.tif    1000 x 1000 RGB
    MoNuSeg 2018 Training Data/Annotations/TCGA-A7-A13E-01Z-00-DX1.xml      Aperio ImageScope
    MoNuSegTestData/TCGA-2Z-A9J9-01A-01-TS1.tif, .xml                       both in one folder

In the XML, each nucleus is `Annotations/Annotation/Regions/Region` with `Vertices/Vertex` (X, Y in pixels,
pixel corners at integers). The nth region gets id n, and pixels whose centre it contains; of overlapping
regions the first keeps the pixels. Regions too thin for any pixel are left out.
The patient is the TCGA case, the centre its tissue source site.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.outlines import Outlines
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.class_names import NUCLEI
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import files_by_stem, in_both, read_rgb, subfolder, tcga_patient
from histocerb.data.sources.xml import read_xml

NAME = "monuseg"
MPP = 0.25
_TIFF = (".tif", ".tiff")
_XML = (".xml",)


def monuseg(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a MoNuSeg folder, in order of names.

    Raises:
        DataError: no such folder, an image without annotation or the reverse, the same name twice.
    """
    del options
    entries: dict[str, Entry] = {}
    for image_folder, label_folder in _parts(folder):
        images, labels = files_by_stem(image_folder, _TIFF), files_by_stem(label_folder, _XML)
        for name in in_both(images, labels, image_folder):
            if name in entries:
                raise DataError(
                    f"{images[name]}: expected it once, found {entries[name].files[0]} too; remove one"
                )
            files = images[name], labels[name]
            entries[name] = Entry(name, files, partial(_load, name, *files))
    if not entries:
        raise DataError(
            f"{folder}: expected `Tissue Images` and `Annotations` of MoNuSeg, found none; "
            "give the folder that has them"
        )
    return [entries[name] for name in sorted(entries)]


def _parts(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Folders of images and of annotations, the same one for the test data."""
    if subfolder(folder, "Tissue Images", "Annotations"):
        images, labels = subfolder(folder, "Tissue Images"), subfolder(folder, "Annotations")
        yield images or folder / "Tissue Images", labels or folder / "Annotations"
    elif files_by_stem(folder, _XML):
        yield folder, folder
    else:
        for below in sorted(folder.iterdir()) if folder.is_dir() else []:
            if below.is_dir() and not below.name.startswith((".", "__")):
                yield from _parts(below)


def _load(name: str, image_path: Path, label_path: Path) -> Sample:
    image = read_rgb(image_path)
    ids = np.zeros(image.shape[:2], np.int32)
    for number, ring in enumerate(_regions(label_path), start=1):
        _paint(ids, ring, number)
    if not ids.any():
        raise DataError(
            f"{label_path}: expected regions in the image of {image.shape[:2]} pixels, found none; "
            "download it again"
        )
    case = tcga_patient(name)
    return Sample(
        image,
        MPP,
        {NUCLEI.name: ObjectLabels(ids)},
        source=NAME,
        patient=case or f"{NAME}-{name}",
        name=name,
        centre=case.rpartition("-")[0] if case else "",
    )


def _regions(path: Path) -> list[npt.NDArray[np.float64]]:
    """Per region its K x 2 vertices (x, y)."""
    try:
        rings = [
            np.array([(float(v.attrib["X"]), float(v.attrib["Y"])) for v in region.iter("Vertex")])
            for region in read_xml(path).iter("Region")
        ]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path}: expected X and Y of each Vertex, found {error}; download it again"
        ) from error
    if not all(np.isfinite(ring).all() for ring in rings):
        raise DataError(f"{path}: expected finite X and Y of each Vertex, found others; download it again")
    return rings


def _paint(ids: npt.NDArray[np.int32], ring: npt.NDArray[np.float64], number: int) -> None:
    """Give the pixels in the ring that no other region has its number, in place."""
    if len(ring) < 3:
        return
    height, width = ids.shape
    left, top = np.clip(np.floor(ring.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(ring.max(axis=0)), 0, (width, height)).astype(int)
    outline = Outlines.from_rings([[ring - (left, top)]])
    inside = outline.paint((bottom - top, right - left), np.ones(1, np.int32)) != 0
    window = ids[top:bottom, left:right]
    window[inside & (window == 0)] = number


DATA_SET = DataSet(
    title="MoNuSeg 2018: nuclei of several organs, 40x",
    licence="CC BY-NC-SA 4.0; cite Kumar et al. 2017 and 2020",
    read=monuseg,
    takes=(),
)
