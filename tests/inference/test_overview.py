"""The picture of a slide, drawn from the rows of its tables."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from histocerb.analysis.objects import NO_OBJECT, Scale, object_rows
from histocerb.analysis.summary import no_objects
from histocerb.analysis.tissue import TissueCells, tissue_rows
from histocerb.core.colours import colour
from histocerb.core.instances import InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.tasks import CERBERUS
from histocerb.inference.overview import Overview
from histocerb.slides.reader import open_slide

SIDE = 1000
SCALE = Scale(0.5, 0.5)


def square(left: float, side: float, points: int = 4) -> np.ndarray:
    """The corners, with further points on the edges where more are wanted."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) * side + left
    steps = np.arange(points // 4)[:, None] / (points // 4)
    edges = itertools.pairwise(corners)
    return np.concatenate([start + steps * (end - start) for start, end in edges])


def rows(kind: str, rings: list[np.ndarray]) -> pa.Table:
    """A row group of objects of the first class of their kind."""
    task = next(task for task in CERBERUS.objects if task.kind == kind)
    count = len(rings)
    boxes = np.array([[*ring.min(axis=0), *ring.max(axis=0)] for ring in rings])
    table = InstanceTable(
        kind=kind,
        classes=task.classes,
        class_code=np.full(count, 0 if task.classes else -1, np.int16),
        class_prob=np.ones(count, np.float32),
        score=np.ones(count, np.float32),
        centroid=(boxes[:, :2] + boxes[:, 2:]) / 2,
        area_px=np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        bbox=boxes,
        first_px=boxes[:, 1::-1].astype(np.int64),
        outlines=Outlines.from_rings([[ring] for ring in rings]),
    )
    return object_rows(CERBERUS, table, 1, SCALE, np.full(count, NO_OBJECT), np.full(count, -1, np.int16))


def drawn(tmp_path, groups, side=SIDE, tissue_class=0, spec=CERBERUS):
    """The picture without its legend."""
    white = np.full((side, side, 3), 255, np.uint8)
    cells = np.zeros((-(-side // 144),) * 2 + (len(CERBERUS.patch.classes),), np.float32)
    cells[..., tissue_class] = 1
    tissue = tissue_rows(CERBERUS, TissueCells(CERBERUS.patch.classes, cells), SCALE)
    overview = Overview(open_slide(white, mpp=0.5), tissue, spec)
    for group in groups:
        overview.draw(group)
    overview.write(tmp_path / "overview.png", no_objects(spec))
    with Image.open(tmp_path / "overview.png") as picture:
        return np.asarray(picture)


def test_outlines_are_drawn_in_the_colour_of_their_class(tmp_path):
    picture = drawn(tmp_path, [rows("gland", [square(200, 400)])])
    assert picture[400, 200].tolist() == list(colour("gland"))
    assert picture[400, 400].tolist() == [255, 255, 255]


def test_points_on_straight_edges_change_nothing(tmp_path):
    few, many = (drawn(tmp_path, [rows("gland", [square(200, 400, points)])]) for points in (4, 400))
    assert np.array_equal(few, many)
    assert (few[:, :SIDE] != 255).any()


def test_glands_are_drawn_over_nuclei_whatever_comes_first(tmp_path):
    nuclei, glands = rows("nucleus", [square(190, 20)]), rows("gland", [square(200, 400)])
    one, other = drawn(tmp_path, [nuclei, glands]), drawn(tmp_path, [glands, nuclei])
    assert np.array_equal(one, other)
    assert one[205, 200].tolist() == list(colour("gland"))


def test_objects_too_small_for_an_outline_become_a_veil(tmp_path):
    picture = drawn(tmp_path, [rows("nucleus", [square(3999, 2)])], side=4000)
    shade = np.asarray(colour("neutrophil"))
    assert picture[:2000, :2000].reshape(-1, 3).min(axis=0) == pytest.approx(255 * 0.55 + shade * 0.45, abs=1)
    assert np.count_nonzero((picture[:2000, :2000] != 255).any(axis=2)) == 1


@pytest.mark.parametrize("code", [0, 3])
def test_tissue_is_tinted_and_background_is_not(tmp_path, code):
    picture = drawn(tmp_path, [], tissue_class=code)[:SIDE, :SIDE]
    shade = np.asarray(colour(CERBERUS.patch.classes[code]))
    expected = np.round(255 * 0.78 + shade * 0.22) if code else np.full(3, 255)
    assert (picture == expected).all()


def test_a_spec_without_tissue_classes_is_drawn(tmp_path):
    spec = dataclasses.replace(CERBERUS, tasks=CERBERUS.objects)
    assert (drawn(tmp_path, [], tissue_class=3, spec=spec)[:SIDE, :SIDE] == 255).all()
