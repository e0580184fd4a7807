from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from known_maps import NUCLEI, PLACES, centres, ids_of, maps_of, patch, squares

from histocerb.core.errors import UsageError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS
from histocerb.postproc import postprocess
from histocerb.training.evaluation import evaluate
from histocerb.training.evaluation.image import class_probabilities, task_of_marks

WORDS = {1: "epithelial", 2: "plasma", 5: "lymphocyte"}


def perfect(samples, words=WORDS):
    """Document of a model that finds the nuclei of `words` in every image, and stroma."""
    answers = iter(samples)

    def predict(image):
        sample = next(answers)
        assert sample.image is image
        if sample.patch_class is not None:
            return maps_of(sample, np.zeros((144, 144), np.int32), {})
        return maps_of(sample, ids_of({n: PLACES[n - 1] for n in words}), words)

    found = evaluate(samples, predict, CERBERUS, split_of={"squares/a": "fold-2"})
    return json.loads(json.dumps(found, allow_nan=False))


def test_all_right():
    document = perfect([squares("a", WORDS, patient="p"), squares("b", WORDS), patch("c", "stroma")])
    assert set(document) == {"histocerb", "images", "summary"}
    first = document["images"][0]
    assert {key: first[key] for key in ("id", "source", "split", "patient")} == {
        "id": "squares/a",
        "source": "squares",
        "split": "fold-2",
        "patient": "p",
    }
    row = first["tasks"]["nuclei"]
    for figure in (
        "dice",
        "pq",
        "dq",
        "sq",
        "aji",
        "object_f1",
        "object_dice",
        "mpq",
        "type_accuracy",
        "detection_f1",
    ):
        assert row[figure] == 1, figure
    assert row["object_hausdorff_um"] == 0
    assert document["images"][2]["tasks"]["tissue"]["right"] == 1
    assert list(document["summary"]) == ["all", "patches", "squares"]
    nuclei = document["summary"]["squares"]["nuclei"]
    assert nuclei == document["summary"]["all"]["nuclei"]
    assert nuclei["pq"] == {"n": 2, "mean": 1, "sd": 0, "low": 1, "high": 1}
    assert nuclei["types"]["map"]["mean"] == nuclei["types"]["mf1"]["mean"] == 1
    assert nuclei["detection"]["froc"]["mean"] == 1
    assert nuclei["types"]["calibration"]["ece"] == pytest.approx(0, abs=1e-6)
    tissue = document["summary"]["all"]["tissue"]
    assert tissue["accuracy"]["mean"] == 1
    assert tissue["f1"] == {"stroma": 1}


def test_intervals_are_of_patients_and_whoever_is_unknown_is_one():
    """One patient says nothing about others; images of nobody in particular are independent."""
    samples = [squares("a", WORDS), squares("b", WORDS), patch("c", "stroma"), patch("d", "stroma")]
    for patient, has_interval in (("p", False), ("", True)):
        summary = perfect([replace(sample, patient=patient) for sample in samples])["summary"]["all"]
        for figure in (
            summary["nuclei"]["pq"],
            summary["nuclei"]["object_f1"],
            summary["tissue"]["accuracy"],
        ):
            assert (figure["low"] is not None) is has_interval


def test_only_what_is_annotated_counts():
    document = perfect([squares("a", WORDS)])
    assert list(document["images"][0]["tasks"]) == ["nuclei"]
    assert perfect([])["summary"] == {"all": {}}
    nothing = Sample(np.zeros((96, 96, 3), np.uint8), 0.5, source="s", name="n")
    assert perfect([nothing])["images"] == []


def test_images_without_objects():
    """Nothing there and something found is 0, an infinite distance is null and counted."""
    document = perfect([squares("a", {}), squares("b", WORDS)])
    empty = document["images"][0]["tasks"]["nuclei"]
    assert (empty["objects"], empty["found"], empty["fp"], empty["pq"]) == (0, 3, 3, 0)
    assert empty["object_hausdorff_um"] is None
    distance = document["summary"]["all"]["nuclei"]["object_hausdorff_um"]
    assert (distance["n"], distance["mean"], distance["infinite"]) == (1, 0, 1)
    both = perfect([squares("a", {})], words={})["images"][0]["tasks"]["nuclei"]
    assert both["pq"] is None
    assert both["object_hausdorff_um"] is None


def test_a_group_holds_for_all_images_of_a_source():
    """Inflammatory cells in one image: in the other one a lymphocyte is no class of its own either."""
    grouped = squares("a", {1: "epithelial", 2: "inflammatory", 5: "inflammatory"})
    other = squares("b", {1: "epithelial"})
    found = perfect([grouped, other])["summary"]["all"]["nuclei"]
    assert set(found["per_class"]) == {"inflammatory", "epithelial", "connective"}
    assert found["per_class"]["inflammatory"] == {
        "objects": 2,
        "found": 4,
        "pq": 1,
        "pq_plus": pytest.approx(2 / 3),
        "r2": pytest.approx(-1),
    }
    assert found["types"]["accuracy"]["mean"] == 1


def test_marked_centres():
    document = perfect([centres("a", {1: "epithelial", 2: "lymphocyte", 9: "plasma"})])
    row = document["images"][0]["tasks"]["nuclei"]
    assert set(row) == {"objects", "found", "detection_f1", "type_accuracy"}
    assert row["detection_f1"] == pytest.approx(2 / 3)
    assert row["type_accuracy"] == 0.5
    found = document["summary"]["centres"]["nuclei"]
    assert found["detection"]["recall"] == pytest.approx(2 / 3)
    assert "pq" not in found
    assert task_of_marks("nucleus-centre", CERBERUS) == "nuclei"
    assert task_of_marks("signet-ring-cell", CERBERUS) is None


def test_tasks_that_the_model_has_not():
    spec = CERBERUS.only(["tissue.patch"])
    samples = [squares("a", WORDS), patch("b", "muscle")]
    document = evaluate(samples, lambda image: maps_of(samples[1], np.zeros((144, 144), np.int32), {}), spec)
    assert [row["id"] for row in document["images"]] == ["patches/b"]
    assert document["summary"]["all"]["tissue"]["accuracy"]["mean"] == 0


@pytest.mark.parametrize("name", ["epithelial", "inflammatory"])
def test_a_model_without_types_on_typed_truth(name):
    spec = CERBERUS.only(["nuclei.instance"])
    sample = squares("a", {1: name})
    document = evaluate([sample], lambda image: maps_of(sample, ids_of({1: PLACES[0]}), {}), spec)
    found = document["summary"]["all"]["nuclei"]
    assert found["pq"]["mean"] == 1
    assert "types" not in found
    assert "per_class" not in found


def test_a_class_that_the_model_does_not_know():
    with pytest.raises(
        UsageError, match=r"squares/a: expected classes of the model's task nuclei .* found 'mast'"
    ):
        perfect([squares("a", {1: "mast"})])


def test_probabilities_of_classes_are_means_over_pixels():
    sample = squares("a", {1: "plasma"})
    ids = sample.objects["nuclei"].ids
    maps = maps_of(sample, ids, {1: "plasma"})
    maps["nuclei.type"][..., 3] = 0.3
    (table,) = (postprocess(maps, CERBERUS)["nuclei"],)
    expected = np.zeros(6)
    expected[NUCLEI.classes.index("plasma")] = 0.9
    expected[2] = 0.3
    assert class_probabilities(table, NUCLEI, maps) == pytest.approx((expected / 1.2)[None], abs=1e-5)
    codes = {**maps, "nuclei.type": np.full(ids.shape, 4, np.uint8)}
    assert class_probabilities(table, NUCLEI, codes) == pytest.approx(np.eye(6)[[3]], abs=1e-5)
    assert class_probabilities(table, NUCLEI, {}).shape == (1, 0)


def test_watch_sees_tables_and_qualities():
    seen = []
    sample = squares("a", WORDS)
    evaluate(
        [sample, patch("p", "muscle")],
        lambda image: maps_of(
            sample if image is sample.image else patch("p", "muscle"),
            ids_of({}) if image is sample.image else np.zeros((144, 144), np.int32),
            {},
        ),
        CERBERUS,
        watch=lambda *found: seen.append(found),
    )
    ((watched, tables, qualities),) = seen
    assert watched is sample
    assert len(tables["nuclei"]) == 0
    assert qualities["nuclei"].detections.n_truth == 3


def test_untyped_truth_has_no_classes():
    plain = squares("a", {1: "", 2: ""})
    assert plain.objects["nuclei"] == ObjectLabels(plain.objects["nuclei"].ids, {})
    found = perfect([plain])["summary"]["all"]["nuclei"]
    assert found["pq"]["mean"] == pytest.approx(2 / 2.5)
    assert not {"mpq", "types", "r2", "per_class"} & set(found)
