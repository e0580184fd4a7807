"""One image and task: what was found against its truth, which has outlines or only places."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from histocerb.core.instances import InstanceTable
from histocerb.core.samples import Marks, ObjectLabels
from histocerb.core.tasks import Task
from histocerb.metrics.detection import Detections, detections
from histocerb.metrics.matching import Float, Ids, Overlaps, match
from histocerb.metrics.objects import ObjectScore, object_hausdorff
from histocerb.metrics.places import near, overlapping, within
from histocerb.metrics.segmentation import (
    MATCH_IOU,
    Classes,
    PanopticQuality,
    dice,
    panoptic_quality_per_class,
)

RADIUS_UM = 3.0
"""A detection hits a marked centre up to this distance: 6 px at 0.5 um/px, as is usual for nuclei."""


@dataclass(frozen=True)
class Outlined:
    """Objects with outlines.

    Attributes:
        dice: of all pixels of objects.
        overlaps: of truth and found objects; found ids are row numbers + 1.
        hausdorff_um: sums of the GlaS challenge in micrometres; infinite where one side is empty.
    """

    dice: float
    overlaps: Overlaps
    hausdorff_um: ObjectScore


@dataclass(frozen=True)
class ImageQuality:
    """One task in one image.

    Attributes:
        outlined: None where only places are annotated.
        detections: found objects by score against the places of the truth.
        pairs: truth object (id, or number of the mark) and row of the found object that stands for it.
        truth_classes: class or group name per truth object; unknown ones are missing.
        found_classes: class name per id (row number + 1).
        class_prob: N, of the class of every found object.
        probabilities: N x C, of the task's classes for every found object; N x 0 where there are none.
    """

    outlined: Outlined | None
    detections: Detections
    pairs: tuple[tuple[int, int], ...]
    truth_classes: Classes
    found_classes: Classes
    class_prob: Float
    probabilities: Float


def outline_quality(
    truth: ObjectLabels, found: InstanceTable, probabilities: Float, mpp: float
) -> ImageQuality:
    """Compare found objects with outlines.

    In `detections`, an object is hit when the centroid of what was found lies in its bounding box.

    Args:
        truth: H x W ids and their classes.
        found: In pixels of the same image.
        probabilities: N x C, one row per found object.
        mpp: Micrometres per pixel.
    """
    labels = found.label_image((truth.ids.shape[0], truth.ids.shape[1]))
    overlaps = match(truth.ids, labels)
    scaled = object_hausdorff(truth.ids, labels)
    hausdorff = ObjectScore(
        scaled.truth_sum * mpp, scaled.truth_area, scaled.pred_sum * mpp, scaled.pred_area
    )
    partners = np.flatnonzero(overlaps.iou > MATCH_IOU)
    truth_ids, found_ids = (
        overlaps.truth_ids[overlaps.truth[partners]],
        overlaps.pred_ids[overlaps.pred[partners]],
    )
    places = within(_boxes(truth.ids, overlaps), _points(found))
    return ImageQuality(
        outlined=Outlined(dice(truth.ids > 0, labels > 0), overlaps, hausdorff),
        detections=detections(places, found.score, len(overlaps.truth_ids)),
        pairs=tuple(zip(truth_ids.tolist(), (found_ids - 1).tolist(), strict=True)),
        truth_classes=truth.classes,
        found_classes=_found_classes(found),
        class_prob=found.class_prob.astype(np.float64),
        probabilities=probabilities,
    )


def mark_quality(truth: Marks, found: InstanceTable, probabilities: Float, mpp: float) -> ImageQuality:
    """Compare found objects with marked places.

    A centre is hit within `RADIUS_UM`, a box by a bounding box of IoU 0.5 or more.

    Args:
        truth: In pixels of the image.
        found: In pixels of the same image.
        probabilities: N x C, one row per found object.
        mpp: Micrometres per pixel.
    """
    is_centre = bool((truth.boxes[:, :2] == truth.boxes[:, 2:]).all())
    if is_centre:
        places = near(truth.boxes, _points(found), RADIUS_UM / mpp)
    else:
        places = overlapping(truth.boxes, found.bbox, MATCH_IOU)
    hits = detections(places, found.score, len(truth.boxes))
    rows = np.flatnonzero(hits.mark >= 0)
    return ImageQuality(
        outlined=None,
        detections=hits,
        pairs=tuple(zip(hits.mark[rows].tolist(), rows.tolist(), strict=True)),
        truth_classes={mark: name for mark, name in enumerate(truth.classes) if name},
        found_classes=_found_classes(found),
        class_prob=found.class_prob.astype(np.float64),
        probabilities=probabilities,
    )


def wording(task: Task, truth: Sequence[Classes]) -> dict[str, str]:
    """What a data set calls each class of a task: its own name, or that of a group it is not told apart in.

    Args:
        task: The task.
        truth: Class or group names per object, of all images of the data set; {} where none is typed.

    Returns:
        {} where the data set types no object, or the task none.
    """
    used = {name for classes in truth for name in classes.values()}
    if not used or not task.classes:
        return {}
    words = {name: name for name in task.classes}
    for group in (name for name in task.groups if name in used):
        words.update(dict.fromkeys(task.groups[group], group))
    return words


@dataclass(frozen=True)
class Judged:
    """One task in one image, with classes called as its data set calls them.

    Attributes:
        quality: the comparison.
        names: classes and groups that the data set tells apart; () where it does not type objects.
        truth_classes: as those of `quality`, within `names`.
        found_classes: the same.
        probabilities: N x C, one column per name; N x 0 where there are none.
        classes: counts behind PQ per name; {} without outlines or types.
    """

    quality: ImageQuality
    names: tuple[str, ...]
    truth_classes: Classes
    found_classes: Classes
    probabilities: Float
    classes: dict[str, PanopticQuality]

    @property
    def counted_classes(self) -> Classes:
        """`found_classes` without partners of truth objects of unknown class, which count nowhere."""
        unknown = {row + 1 for truth, row in self.quality.pairs if truth not in self.truth_classes}
        return {found: name for found, name in self.found_classes.items() if found not in unknown}

    @property
    def has_counts(self) -> bool:
        """Whether its truth says how many objects of a class there are: it has a class, or no object."""
        return bool(self.truth_classes) or self.quality.detections.n_truth == 0

    @property
    def guesses(self) -> list[tuple[str, str, int]]:
        """Truth, guess and found row of the pairs whose truth has a class and whose guess has one."""
        named = (
            (self.truth_classes.get(truth), self.found_classes.get(row + 1), row)
            for truth, row in self.quality.pairs
        )
        return [(truth, guess, row) for truth, guess, row in named if truth is not None and guess is not None]


def judge(quality: ImageQuality, task: Task, words: dict[str, str]) -> Judged:
    """The same image in the words of its data set (see `wording`)."""
    names = tuple(dict.fromkeys(words.values()))
    truth, found = (
        {key: words.get(name, name) for key, name in classes.items()} if words else {}
        for classes in (quality.truth_classes, quality.found_classes)
    )
    outlined = quality.outlined
    classes = panoptic_quality_per_class(outlined.overlaps, truth, found, names) if outlined and names else {}
    return Judged(quality, names, truth, found, _merged(quality.probabilities, task, words, names), classes)


def _merged(probabilities: Float, task: Task, words: dict[str, str], names: Collection[str]) -> Float:
    if not probabilities.shape[1] or not names:
        return np.zeros((len(probabilities), 0))
    columns = [probabilities[:, [words[name] == word for name in task.classes]].sum(axis=1) for word in names]
    return np.stack(columns, axis=1)


def _found_classes(found: InstanceTable) -> dict[int, str]:
    named = enumerate(found.class_names(), start=1)
    return {row: name for row, name in named if name is not None}


def _points(found: InstanceTable) -> npt.NDArray[np.float64]:
    return np.hstack([found.centroid, found.centroid])


def _boxes(ids: Ids, overlaps: Overlaps) -> npt.NDArray[np.float64]:
    """Bounding boxes of the truth objects, T x 4."""
    place = (np.searchsorted(overlaps.truth_ids, ids) + 1) * (ids > 0)
    boxes = [(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in find_objects(place)]
    return np.array(boxes, np.float64).reshape(-1, 4)
