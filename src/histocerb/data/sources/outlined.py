"""A rectangle of a slide: its pixels, and the objects that outlines on the slide put into it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError, SlideError
from histocerb.core.geometry import Region
from histocerb.core.outlines import Outlines
from histocerb.core.samples import ObjectLabels
from histocerb.data.sources.features import Feature
from histocerb.slides.reader import Slide

Objects = list[tuple[Feature, str | None]]
"""Annotations of one task with their class of ours."""


def cut(slide: Slide, region: Region) -> npt.NDArray[np.uint8]:
    """Pixels of a rectangle at the slide's own resolution; the slide is closed.

    Raises:
        DataError: they cannot be read.
    """
    try:
        return slide.read(region, slide.mpp)
    except SlideError as error:
        raise DataError(str(error)) from error
    finally:
        slide.close()


def objects_within(
    outlines: Outlines, ids: npt.NDArray[np.int32], classes: Mapping[int, str], region: Region
) -> ObjectLabels:
    """Objects of a rectangle, cut off at its border; where they overlap, the later one wins.

    Args:
        outlines: N polygons in pixels of the slide.
        ids: of the object that each polygon is of, from 1; objects may have several.
        classes: class per id, for those of known class.
        region: the rectangle.

    Returns:
        region.height x region.width ids; classes of those that have pixels in it.
    """
    shifted = outlines.transform(1.0, (-region.x, -region.y))
    painted = shifted.paint_over((region.height, region.width), ids)
    present = np.unique(painted)
    return ObjectLabels(painted, {int(k): classes[int(k)] for k in present if int(k) in classes})


def features_within(objects: Objects, region: Region) -> ObjectLabels:
    """Annotated objects of a rectangle, numbered from 1 in their order; see `objects_within`."""
    polygons = [polygon for feature, _ in objects for polygon in feature.polygons]
    counts = [len(feature.polygons) for feature, _ in objects]
    ids = np.repeat(np.arange(1, len(objects) + 1, dtype=np.int32), counts)
    classes = {k: name for k, (_, name) in enumerate(objects, 1) if name}
    return objects_within(Outlines.from_rings(polygons), ids, classes, region)
