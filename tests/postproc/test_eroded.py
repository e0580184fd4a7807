"""Objects from their eroded shapes alone: growth undoes the erosion."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from histocerb.core.tasks import CERBERUS, CERBERUS_ERODED, Grouping, HeadKind, TaskSpec
from histocerb.postproc import postprocess


def _maps(ids: np.ndarray, spec: TaskSpec, name: str) -> dict[str, np.ndarray]:
    """Perfect maps of a network that learnt eroded targets without contours."""
    task = spec.task(name)
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (task.postproc.element_px,) * 2)
    inside = np.zeros(ids.shape, bool)
    for number in range(1, ids.max() + 1):
        inside |= cv2.erode((ids == number).astype(np.uint8), element) > 0
    return {task.head(HeadKind.INSTANCE).name: np.eye(3, dtype=np.float32)[inside.astype(int)]}


@pytest.fixture
def nuclei() -> np.ndarray:
    """Round nuclei of 11 px, pairs of which touch."""
    ids = np.zeros((96, 96), np.int32)
    for number in range(12):
        row, column = divmod(number, 4)
        centre = (14 + 22 * column - (4 if column % 2 else 0), 16 + 30 * row)
        cv2.circle(ids, centre, 5, number + 1, -1)
    return ids


def test_nuclei_are_found_whole_from_eroded_targets(nuclei: np.ndarray) -> None:
    table = postprocess(_maps(nuclei, CERBERUS_ERODED, "nuclei"), CERBERUS_ERODED)["nuclei"]
    found = table.label_image(nuclei.shape)
    assert len(table) == nuclei.max()
    for number in range(1, nuclei.max() + 1):
        own = found[nuclei == number]
        match = np.bincount(own[own > 0]).argmax()
        both, either = (
            ((nuclei == number) & (found == match)).sum(),
            ((nuclei == number) | (found == match)).sum(),
        )
        assert both / either > 0.95


def test_the_way_of_contour_targets_loses_them(nuclei: np.ndarray) -> None:
    """Which is why the preset is another one."""
    table = postprocess(_maps(nuclei, CERBERUS, "nuclei"), CERBERUS)["nuclei"]
    assert (table.label_image(nuclei.shape) > 0).sum() < 0.5 * (nuclei > 0).sum()


def test_other_objects_are_found_as_before() -> None:
    for task, eroded in zip(CERBERUS.tasks, CERBERUS_ERODED.tasks, strict=True):
        assert eroded.heads == task.heads
        if task.postproc is not None and task.postproc.grouping is Grouping.GROW:
            assert eroded == task


@pytest.mark.parametrize(("grow_px", "side"), [(0, 12), (1, 9), (5, 13)])
def test_growth_has_the_size_that_is_asked_for(grow_px: int, side: int) -> None:
    """A square of 9 px grows by the ellipse; 0 is one less than the element of 5 px, as released."""
    task = CERBERUS.task("lumen")
    params = replace(task.postproc, element_px=5, grow_px=grow_px, min_area_px=4, within=None)
    spec = replace(CERBERUS, tasks=(replace(task, postproc=params),))
    ids = np.zeros((32, 32), np.int32)
    ids[8:21, 8:21] = 1
    inside = np.zeros((32, 32), int)
    inside[10:19, 10:19] = 1
    table = postprocess({"lumen.instance": np.eye(3, dtype=np.float32)[inside]}, spec)["lumen"]
    rows = np.flatnonzero((table.label_image(ids.shape) > 0).any(1))
    assert len(rows) == side
