import json

import numpy as np
import pytest

from histocerb.core.samples import ObjectLabels
from histocerb.core.tasks import CERBERUS
from histocerb.metrics.report import image_quality, report


def squares(places, classes=None):
    ids = np.zeros((40, 60), np.int32)
    for object_id, (y, x) in places.items():
        ids[y : y + 6, x : x + 6] = object_id
    return ObjectLabels(ids, classes or {})


TRUTH = {
    "nuclei": squares(
        {1: (0, 0), 2: (10, 0), 3: (20, 0), 4: (30, 0)}, {1: "inflammatory", 2: "epithelial", 3: "connective"}
    ),
    "gland": squares({7: (5, 20)}, {7: "gland"}),
}
PRED = {
    "nuclei": squares(
        {1: (0, 0), 2: (10, 0), 3: (20, 30), 5: (30, 0)},
        {1: "plasma", 2: "lymphocyte", 3: "connective", 5: "epithelial"},
    ),
    "lumen": squares({1: (0, 0)}),
}


def test_only_tasks_of_both_sides():
    assert list(image_quality(TRUTH, PRED, CERBERUS)) == ["nuclei"]


def test_groups_merge_classes_and_unknown_classes_do_not_count():
    classes = image_quality(TRUTH, PRED, CERBERUS, {"inflammatory"})["nuclei"].classes
    assert list(classes) == ["inflammatory", "epithelial", "connective"]
    assert {name: (c.tp, c.fp, c.fn) for name, c in classes.items()} == {
        "inflammatory": (1, 1, 0),
        "epithelial": (0, 0, 1),
        "connective": (0, 1, 1),
    }
    fine = image_quality(TRUTH, PRED, CERBERUS)["nuclei"].classes
    assert list(fine) == list(CERBERUS.task("nuclei").classes)
    assert (fine["plasma"].fp, fine["lymphocyte"].fp) == (1, 1)


def test_report_of_two_images_is_json():
    first = image_quality(TRUTH, PRED, CERBERUS, {"inflammatory"})
    second = image_quality(TRUTH, TRUTH, CERBERUS, {"inflammatory"})
    found = json.loads(json.dumps(report([first, second]), allow_nan=False))
    assert list(found) == ["nuclei", "gland"]
    nuclei = found["nuclei"]
    assert nuclei["pq"]["n"] == 2
    assert nuclei["pq"]["mean"] == pytest.approx((0.75 + 1) / 2)
    assert nuclei["pq"]["low"] <= nuclei["pq"]["mean"] <= nuclei["pq"]["high"]
    assert nuclei["object_f1"] == pytest.approx(7 / 8)
    assert nuclei["mpq_plus"]["classes"]["inflammatory"] == pytest.approx(2 / 2.5)
    assert nuclei["mpq"]["classes"]["inflammatory"] == pytest.approx((1 / 1.5 + 1) / 2)
    assert found["gland"]["dice"] == {"n": 1, "mean": 1, "sd": None, "low": 1, "high": 1}
    assert "mpq" in found["gland"]


def test_report_of_nothing():
    empty = {"lumen": ObjectLabels(np.zeros((4, 4), np.int32))}
    found = report([image_quality(empty, empty, CERBERUS)])["lumen"]
    assert found["pq"] == {"n": 0, "mean": None, "sd": None, "low": None, "high": None}
    assert found["object_f1"] is None
    assert "mpq" not in found
    assert report([]) == {}
