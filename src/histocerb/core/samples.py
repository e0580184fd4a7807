"""One annotated image, as data sets give it and as training takes it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ObjectLabels:
    """The objects of one task in an image.

    Attributes:
        ids: H x W int32, 0 for background; every object has an id of its own.
        classes: class (or class group) name per id, {} where the data set does not type its objects.
            An id that is missing here has an unknown class.
    """

    ids: npt.NDArray[np.int32]
    classes: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Marks:
    """Objects of one kind of which only the places are annotated.

    Attributes:
        boxes: N x 4 float32, x0, y0, x1, y1 in pixels of the image (pixel corners); centres are boxes without
            extent.
        classes: class or class group name per mark; "" where it is unknown.
    """

    boxes: npt.NDArray[np.float32]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Provenance:
    """How labels came about that people made by correcting a model.

    Attributes:
        round: number of the labelling round, from 1.
        annotator: who corrected.
        date: when, as YYYY-MM-DD.
        model: what was corrected: name and checksum of the model, "" where nothing was proposed.
    """

    round: int
    annotator: str
    date: str
    model: str = ""


@dataclass(frozen=True)
class Sample:
    """An image and what is known about it; what is absent was not annotated (and is not background).

    Attributes:
        image: H x W x 3 uint8 RGB.
        mpp: micrometres per pixel of the image and its labels.
        objects: per task name, the annotated objects.
        patch_class: class name of the whole image for patch classification, or None.
        marks: per kind of mark (`core.tasks.MARKS`), annotated places.
        source: short name of the data set.
        patient: patient, or the finest grouping that is known; never shared between splits.
        name: unique within the source.
        centre: hospital or collection that the image is from, "" where it is not known.
        provenance: where people corrected a model, else None.
    """

    image: npt.NDArray[np.uint8]
    mpp: float
    objects: dict[str, ObjectLabels] = field(default_factory=dict)
    patch_class: str | None = None
    source: str = ""
    patient: str = ""
    name: str = ""
    marks: dict[str, Marks] = field(default_factory=dict)
    centre: str = ""
    provenance: Provenance | None = None
