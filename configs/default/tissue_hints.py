"""Tissue cells from GlaS images: what their glands, grades and colours say of squares of 144 px at 0.5 um.

No one has labelled these cells; they are hints, and only cells of which little doubt remains get one:

- nearly all white: background;
- nearly all gland: normal epithelium in images that are graded benign, abnormal in malignant ones;
- no gland, and nuclei on much of it: inflammatory; hardly any nuclei, on solid pink: stroma.

An image gives at most a few of each class, so that large glands do not outweigh all else.

Images are graded as wholes, and thin bands of smooth muscle may hide in what is called stroma.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.samples import Sample
from histocerb.core.tasks import CELL_PX, WORKING_MPP
from histocerb.data.sources.entry import Entry
from histocerb.data.sources.images import read_table, stem_in_table

NAME = "glas-tissue"
WHITE = 215
"""Darkest channel of a pixel without tissue."""
PER_IMAGE = 8
"""Cells of a class from one image."""
RECIPE = "tissue hints 1"

UInt8 = npt.NDArray[np.uint8]
Place = tuple[str, int, int]
"""Class, top and left of a cell."""


def tissue_hints(entries: list[Entry], table: Path) -> Iterator[Entry]:
    """One entry per cell with a hint, from GlaS entries and the grades in `Grade.csv`."""
    rows = read_table(table, "name", "grade (GlaS)")
    grades = {stem_in_table(row["name"]): row["grade (GlaS)"].strip() for row in rows}
    for entry in entries:
        sample = entry.load()
        side = round(CELL_PX * WORKING_MPP / sample.mpp)
        malignant = grades[entry.name] == "malignant"
        for place in hints(sample.image, sample.objects["gland"].ids > 0, side, malignant=malignant):
            name = f"{entry.name}-{place[1]}-{place[2]}"
            yield Entry(name, entry.files, partial(_cell, sample, place, side, name), recipe=RECIPE)


def hints(image: UInt8, gland: npt.NDArray[np.bool_], side: int, *, malignant: bool) -> list[Place]:
    """Cells of side x side px on a grid of half their side, by class."""
    white = image.min(2) > WHITE
    red = np.ascontiguousarray(image[..., 0])
    level, _ = cv2.threshold(red[~white].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    nuclear = red <= level
    places = []
    for top in range(0, image.shape[0] - side + 1, side // 2):
        for left in range(0, image.shape[1] - side + 1, side // 2):
            shares = [
                float(part[top : top + side, left : left + side].mean()) for part in (white, gland, nuclear)
            ]
            name = _class(*shares, malignant=malignant)
            if name:
                places.append((name, top, left))
    return [
        place for _, group in groupby(sorted(places), lambda place: place[0]) for place in _some(list(group))
    ]


def _some(places: list[Place]) -> list[Place]:
    """At most `PER_IMAGE` of them, from all over the image."""
    step = -(-len(places) // PER_IMAGE)
    return places[::step]


def _class(white: float, gland: float, nuclear: float, *, malignant: bool) -> str | None:
    if white > 0.95 and gland == 0:
        return "background"
    if gland > 0.85 and white < 0.25:
        return "abnormal-epithelium" if malignant else "normal-epithelium"
    if gland == 0 and white < 0.1:
        if nuclear > 0.42:
            return "inflammatory"
        return "stroma" if nuclear < 0.15 else None
    return None


def _cell(sample: Sample, place: Place, side: int, name: str) -> Sample:
    patch_class, top, left = place
    return Sample(
        sample.image[top : top + side, left : left + side].copy(),
        sample.mpp,
        patch_class=patch_class,
        source=NAME,
        patient=sample.patient,
        name=name,
        centre=sample.centre,
    )
