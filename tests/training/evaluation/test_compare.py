from __future__ import annotations

import json
from dataclasses import replace

import pytest

from histocerb.core.errors import DataError, UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.training.evaluation import Choice, compare, measure
from histocerb.training.evaluation.compare import read_document

ALL = Choice(("train", "valid"))


def document(store, model):
    return json.loads(json.dumps(measure(store, ALL, model), allow_nan=False))


def test_the_better_model_is_shown(store, perfect):
    worse, better = document(store, perfect("worse", missed=1)), document(store, perfect())
    found = compare(worse, better)
    json.dumps(found, allow_nan=False)
    assert found["images"] == 20
    assert found["only"] == [[], []]
    row = found["rows"]["all"]["nuclei"]["pq"]
    assert (row["n"], row["patients"]) == (12, 12)
    assert row["second"] == 1
    assert row["difference"] == pytest.approx(row["second"] - row["first"])
    assert 0 < row["low"] < row["difference"] < row["high"]
    assert row["p"] == pytest.approx(2 / 2**12)
    assert row["p"] < row["p_holm"] <= found["tests"] * row["p"]
    same = found["rows"]["all"]["tissue"]["right"]
    assert (same["n"], same["difference"], same["p_holm"]) == (8, 0, 1)
    assert "p" not in found["rows"]["squares"]["nuclei"]["pq"]
    back = compare(better, worse)["rows"]["all"]["nuclei"]["pq"]
    assert (back["difference"], back["p"]) == (-row["difference"], row["p"])


def test_images_of_few_patients_prove_little(store, perfect):
    """The same images and figures, of two patients: no p can be small, and the mean stays what it was."""
    worse, better = document(store, perfect("one missed", missed=1)), document(store, perfect())
    apart = compare(worse, better)["rows"]["all"]["nuclei"]["pq"]
    for one in (worse, better):
        for number, row in enumerate(one["images"]):
            row["patient"] = f"p{number % 2}"
    row = compare(worse, better)["rows"]["all"]["nuclei"]["pq"]
    assert (row["n"], row["patients"], row["difference"]) == (12, 2, apart["difference"])
    assert row["p"] == 0.5


def test_other_tasks_are_named(store, perfect):
    nuclei = replace(perfect("nuclei"), spec=CERBERUS.only(["nuclei.instance"]))
    found = compare(document(store, nuclei), document(store, perfect()))
    assert found["only"] == [[], ["tissue"]]
    assert list(found["rows"]["all"]) == ["nuclei"]
    assert found["images"] == 12
    typed = found["rows"]["all"]["nuclei"]["type_accuracy"]
    assert (typed["n"], typed["left_out"], typed["p"]) == (0, 12, None)


def test_figures_that_one_model_lacks_are_left_out(store, perfect):
    """Without any nucleus found, a distance is infinite and no pair has a class."""
    found = compare(document(store, perfect("blind", missed=9)), document(store, perfect()))
    rows = found["rows"]["all"]["nuclei"]
    assert (rows["object_hausdorff_um"]["n"], rows["object_hausdorff_um"]["left_out"]) == (0, 12)
    assert rows["pq"]["first"] == 0


def test_what_cannot_be_compared(store, perfect):
    one = document(store, perfect())
    with pytest.raises(UsageError, match="same weights twice"):
        compare(one, one)
    other = json.loads(json.dumps(measure(store, Choice(("valid",)), perfect("other"))))
    with pytest.raises(UsageError, match="same images"):
        compare(one, other)


def test_reading_documents(store, perfect, tmp_path):
    path = tmp_path / "report.json"
    one = document(store, perfect())
    path.write_text(json.dumps(one))
    assert read_document(path) == one
    for content in ("", "[]", "{}", '{"model": 3}', json.dumps({**one, "images": 3})):
        path.write_text(content)
        with pytest.raises(DataError, match=r"report\.json: expected a report of histocerb evaluate"):
            read_document(path)
    with pytest.raises(DataError, match="expected a report"):
        read_document(tmp_path / "nothing.json")
