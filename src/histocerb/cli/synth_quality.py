"""A result on a synthetic slide against the slide's exact truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from histocerb.core.geometry import Region
from histocerb.core.samples import ObjectLabels
from histocerb.core.tasks import Task, TaskSpec
from histocerb.core.wkb import decode_polygons
from histocerb.metrics.matching import Ids, match
from histocerb.metrics.segmentation import PanopticQuality, dice, panoptic_quality
from histocerb.slides.synth import TISSUES, SynthSlide, SynthTruth


@dataclass(frozen=True)
class SynthQuality:
    """How good a result is.

    Attributes:
        dice: per object task.
        panoptic: panoptic quality per object task.
        truth_counts: true objects per kind.
        cells_right: tissue cells with the right class; those that were not predicted count as background.
        cells: tissue cells that lie wholly on the slide.
    """

    dice: dict[str, float]
    panoptic: dict[str, PanopticQuality]
    truth_counts: dict[str, int]
    cells_right: int
    cells: int


def synth_quality(slide: SynthSlide, objects: pa.Table, tissue: pa.Table, spec: TaskSpec) -> SynthQuality:
    """Compare a result with the truth.

    Args:
        slide: at the working resolution, as it was segmented.
        objects: rows of `objects.parquet`.
        tissue: rows of `tissue.parquet`.
        spec: tasks of the model.
    """
    truth = slide.truth(Region(0, 0, slide.width_px, slide.height_px))
    shape = slide.height_px, slide.width_px
    pairs = {task.name: (truth.objects[task.name].ids, _ids(objects, task, shape)) for task in spec.objects}
    return SynthQuality(
        dice={name: dice(true > 0, found > 0) for name, (true, found) in pairs.items()},
        panoptic={name: panoptic_quality(match(true, found)) for name, (true, found) in pairs.items()},
        truth_counts=_counts(truth, spec),
        cells_right=int(np.count_nonzero(_cells(tissue, truth.tissue.shape) == truth.tissue)),
        cells=truth.tissue.size,
    )


def _ids(objects: pa.Table, task: Task, shape: tuple[int, int]) -> Ids:
    """The objects of one kind as an id map."""
    rows = objects.filter(pc.equal(objects["kind"].cast(pa.string()), pa.scalar(task.kind)))
    return decode_polygons(rows["geometry"]).paint(shape, np.arange(1, len(rows) + 1, dtype=np.int32))


def _counts(truth: SynthTruth, spec: TaskSpec) -> dict[str, int]:
    labels: Mapping[str, ObjectLabels] = truth.objects
    return {
        task.kind: int(np.count_nonzero(np.unique(labels[task.name].ids)))
        for task in spec.objects
        if task.name in labels
    }


def _cells(tissue: pa.Table, shape: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Class codes on the grid of cells; 0 (background) where nothing was predicted."""
    codes = np.zeros(shape, np.int64)
    for row, column, name in zip(
        *(tissue[key].to_pylist() for key in ("row", "column", "class")), strict=True
    ):
        if row < shape[0] and column < shape[1]:
            codes[row, column] = TISSUES.index(name)
    return codes
