"""Samples whose head maps are known, so that a model is whatever a test wants it to be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from histocerb.core.samples import Marks, ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.data.targets import instance_target

NUCLEI = CERBERUS.task("nuclei")
SIDE = 96
PLACES = tuple((8 + 28 * (k // 3), 8 + 28 * (k % 3)) for k in range(9))
"""Row and column of nine squares that do not touch."""

Maps = dict[str, npt.NDArray[np.float32]]


def ids_of(places: Mapping[int, tuple[int, int]]) -> npt.NDArray[np.int32]:
    """Squares of 16 px."""
    ids = np.zeros((SIDE, SIDE), np.int32)
    for number, (row, column) in places.items():
        ids[row : row + 16, column : column + 16] = number
    return ids


def squares(name: str, classes: Mapping[int, str], *, source: str = "squares", patient: str = "") -> Sample:
    """One typed nucleus per entry of `classes`, at the place of its number."""
    ids = ids_of({number: PLACES[number - 1] for number in classes})
    image = _image(ids, name)
    typed = {number: word for number, word in classes.items() if word}
    labels = {NUCLEI.name: ObjectLabels(ids, typed)}
    return Sample(image, 0.5, labels, source=source, patient=patient or name, name=name)


def centres(name: str, classes: Mapping[int, str]) -> Sample:
    """The same nuclei, of which only the centres are marked."""
    sample = squares(name, classes, source="centres")
    points = np.array([[PLACES[n - 1][1] + 8, PLACES[n - 1][0] + 8] * 2 for n in classes], np.float32)
    marks = {"nucleus-centre": Marks(points, tuple(classes.values()))}
    return Sample(sample.image, 0.5, source="centres", patient=name, name=name, marks=marks)


def patch(name: str, word: str) -> Sample:
    """A cell of tissue."""
    image = _image(np.zeros((144, 144), np.int32), name)
    return Sample(image, 0.5, patch_class=word, source="patches", patient=name, name=name)


def maps_of(
    sample: Sample, ids: npt.NDArray[np.int32], classes: Mapping[int, str], word: str = "stroma"
) -> Maps:
    """Maps from which post-processing makes these nuclei and this tissue class."""
    shape = sample.image.shape[:2]
    maps = {
        head.name: np.zeros((*shape, len(head.channels)), np.float32)
        for head in CERBERUS.heads
        if head.kind is not HeadKind.PATCH
    }
    target = instance_target(ids, 3)
    maps["nuclei.instance"] = np.eye(3, dtype=np.float32)[target]
    types = maps["nuclei.type"]
    types[..., 0] = 0.1
    for number, name in classes.items():
        types[ids == number, 1 + NUCLEI.classes.index(name)] = 0.9
    tissue = CERBERUS.patch
    assert tissue is not None
    cells = np.full((1, 1, len(tissue.classes)), 0.05, np.float32)
    cells[..., tissue.classes.index(word)] = 0.6
    return {**maps, tissue.heads[0].name: cells}


def _image(ids: npt.NDArray[np.int32], name: str) -> npt.NDArray[np.uint8]:
    """No two look the same: the name is drawn into the background as noise."""
    rng = np.random.default_rng(list(name.encode()))
    shade = np.kron(rng.uniform(120, 250, (8, 8)), np.ones((ids.shape[0] // 8, ids.shape[1] // 8)))
    image = np.repeat(shade[..., None], 3, axis=2)
    image[ids > 0] = (90, 50, 130)
    return image.astype(np.uint8)
