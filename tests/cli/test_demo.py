import numpy as np
import pyarrow as pa
import pytest

from histocerb.cli import demo
from histocerb.cli.synth_quality import synth_quality
from histocerb.core.geometry import Region
from histocerb.core.outlines import Outlines
from histocerb.core.tasks import CERBERUS
from histocerb.core.wkb import encode_polygons
from histocerb.slides.synth import TISSUES, SynthSlide

SIDE = 300


@pytest.fixture(scope="module")
def slide():
    return SynthSlide(SIDE, SIDE, 3)


def pixel_rings(ids, object_id):
    """One square per pixel: exact, whatever the shape."""
    return [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for y, x in np.argwhere(ids == object_id)]


def tables_of_the_truth(slide):
    truth = slide.truth(Region(0, 0, SIDE, SIDE))
    kinds, classes, rings = [], [], []
    for task in CERBERUS.objects:
        labels = truth.objects[task.name]
        for object_id in np.unique(labels.ids[labels.ids > 0]):
            kinds.append(task.kind)
            classes.append(labels.classes.get(int(object_id)))
            rings.append(pixel_rings(labels.ids, object_id))
    objects = {"kind": kinds, "class": classes, "geometry": encode_polygons(Outlines.from_rings(rings))}
    row, column = np.indices(truth.tissue.shape).reshape(2, -1)
    names = [TISSUES[code] for code in truth.tissue.ravel()]
    return pa.table(objects), pa.table({"row": row, "column": column, "class": names})


def test_the_truth_is_perfect(slide):
    quality = synth_quality(slide, *tables_of_the_truth(slide), CERBERUS)
    assert quality.cells_right == quality.cells == 4
    found = {name: counts for name, counts in quality.panoptic.items() if counts.tp}
    assert "nuclei" in found
    assert all((quality.dice[name], counts.pq) == (1, 1) for name, counts in found.items())
    assert quality.truth_counts["nucleus"] == found["nuclei"].tp


def test_nothing_found_is_background(slide):
    objects, tissue = tables_of_the_truth(slide)
    quality = synth_quality(slide, objects[:0], tissue[:0], CERBERUS)
    truth = slide.truth(Region(0, 0, SIDE, SIDE))
    assert quality.cells_right == np.count_nonzero(truth.tissue == 0)
    assert quality.dice["nuclei"] == 0


@pytest.mark.usefixtures("colour_model")
def test_demo_prints_counts_quality_and_where_to_look(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "SIDE_PX", SIDE)
    shown = cli("demo", "--out", tmp_path / "out", "--seed", "3")
    assert shown.code == 0, shown.err
    for word in (
        "lymphocyte",
        "Dice",
        "PQ",
        "cells right",
        "overview.png",
        "histocerb segment",
        "histocerb view",
    ):
        assert word in shown.out
    assert (tmp_path / "out" / "synthetic-3" / "overview.png").exists()
    assert (tmp_path / "out" / "synthetic-3.tif").exists()


@pytest.mark.usefixtures("colour_model")
def test_demo_opens_the_viewer_when_asked(cli, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(demo, "SIDE_PX", SIDE)
    monkeypatch.setattr(demo, "show", opened.append)
    assert cli("demo", "--out", tmp_path / "out", "--view").code == 0
    assert opened == [tmp_path / "out"]
