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
class Sample:
    """An image and what is known about it; what is absent was not annotated (and is not background).

    Attributes:
        image: H x W x 3 uint8 RGB.
        mpp: micrometres per pixel of the image and its labels.
        objects: per task name, the annotated objects.
        patch_class: class name of the whole image for patch classification, or None.
        source: short name of the data set.
        patient: patient, or the finest grouping that is known; never shared between splits.
        name: unique within the source.
    """

    image: npt.NDArray[np.uint8]
    mpp: float
    objects: dict[str, ObjectLabels] = field(default_factory=dict)
    patch_class: str | None = None
    source: str = ""
    patient: str = ""
    name: str = ""
