import datetime
import json

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from histocerb.data.store import Store


@pytest.fixture
def result(cli, picture, colour_model, tmp_path):
    """The result folder of the picture."""
    del colour_model
    shown = cli("segment", picture, "--mpp", 0.5, "--out", tmp_path / "results")
    assert shown.code == 0, shown.err
    return tmp_path / "results" / "picture"


@pytest.fixture
def folder(cli, result, tmp_path):
    """One region of it, saved as QuPath would."""
    shown = cli(
        "data", "regions", result, "--most-uncertain", 3, "--size", 200, "--out", tmp_path / "regions"
    )
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[-1].startswith("1 of 3 regions")
    return tmp_path / "regions"


def save(folder):
    for path in folder.glob("*.geojson"):
        path.write_text(json.dumps(json.loads(path.read_text())["features"]))


def test_from_a_result_to_a_store(cli, folder, result, picture, tmp_path):
    save(folder)
    words = ("data", "labelled", folder, "--out", tmp_path / "store", "--round", 1, "--annotator", "ann")
    shown = cli(*words)
    assert shown.code == 0, shown.err
    assert "picture: each counts as a patient, since segment was given no column patient\n" in shown.out
    store = Store(tmp_path / "store")
    sample = store.sample(0)
    (row,) = json.loads((folder / "regions.json").read_text())
    x, y = int(row["x"]), int(row["y"])
    pixels = np.array(Image.open(picture))[y : y + 200, x : x + 200]
    np.testing.assert_array_equal(sample.image, pixels)
    found = pq.read_table(result / "objects.parquet", filters=pc.field("kind") == "nucleus").to_pylist()
    expected = np.zeros((300, 300), bool)
    for box in (nucleus["bbox"] for nucleus in found):  # rectangles in this picture
        expected[int(box["ymin"]) : int(box["ymax"]), int(box["xmin"]) : int(box["xmax"])] = True
    assert expected[y : y + 200, x : x + 200].any()
    assert np.array_equal(sample.objects["nuclei"].ids > 0, expected[y : y + 200, x : x + 200])
    assert sample.provenance.date == datetime.date.today().isoformat()
    assert sample.provenance.model.startswith("default sha256:000")
    shown = cli("data", "rounds", tmp_path / "store")
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[1].split()[:2] == ["1", "1"]
    assert "no round has validation figures" in shown.out


def test_slides_of_one_patient_stay_together(cli, result, tmp_path):
    (result / "columns.json").write_text(json.dumps({"patient": "P1"}))
    words = ("data", "regions", result, "--most-uncertain", 1, "--size", 200, "--out", tmp_path / "regions")
    assert cli(*words).code == 0
    save(tmp_path / "regions")
    words = ("--out", tmp_path / "store", "--round", 1, "--annotator", "ann")
    shown = cli("data", "labelled", tmp_path / "regions", *words)
    assert shown.code == 0, shown.err
    assert Store(tmp_path / "store").records[0].patient == "P1"
    assert "column patient" not in shown.out


def test_what_nobody_saved_is_no_truth(cli, folder, tmp_path):
    shown = cli(
        *("data", "labelled", folder, "--out", tmp_path / "store", "--round", 1, "--annotator", "ann")
    )
    assert shown.code == 1
    assert "export the objects from QuPath" in shown.err
    assert not (tmp_path / "store").exists()


def test_a_round_keeps_what_it_has(cli, folder, tmp_path):
    save(folder)
    other = tmp_path / "other"
    other.mkdir()
    (row,) = json.loads((folder / "regions.json").read_text())
    for ending in ("png", "geojson"):
        (other / f"b.{ending}").write_bytes((folder / f"{row['name']}.{ending}").read_bytes())
    (other / "regions.json").write_text(json.dumps([row | {"name": "b"}]))
    words = ("--out", tmp_path / "store", "--round", 1, "--annotator", "ann", "--date", "2026-11-20")
    assert cli("data", "labelled", folder, *words).code == 0
    shown = cli("data", "labelled", other, *words)
    assert shown.code == 2
    assert "give all its folders at once" in shown.err
    assert cli("data", "labelled", folder, other, *words).code == 0
    assert len(Store(tmp_path / "store")) == 2


def test_reports_of_rounds(cli, folder, tmp_path):
    save(folder)
    words = ("--out", tmp_path / "store", "--round", 1, "--annotator", "ann", "--task", "gland")
    assert cli("data", "labelled", folder, *words).code == 0
    for number, mean in enumerate((0.5, 0.7)):
        figure = {"n": 30, "mean": mean, "sd": 0.1, "low": mean - 0.05, "high": mean + 0.05}
        document = {
            "data": {"splits": ["valid"]},
            "images": [{"id": "glas/a", "source": "glas", "tasks": {"gland": {}}}],
            "summary": {"all": {}, "glas": {"gland": {"pq": figure}}},
        }
        (tmp_path / f"{number}.json").write_text(json.dumps(document))
    reports = [word for k in (0, 1) for word in ("--report", f"{k}={tmp_path / f'{k}.json'}")]
    shown = cli("data", "rounds", tmp_path / "store", *reports)
    assert shown.code == 0, shown.err
    assert "go on" in shown.out.splitlines()[-1]
    assert cli("data", "rounds", tmp_path / "store").out == shown.out
    assert cli("data", "rounds", tmp_path / "store", "--report", "report.json").code == 2


def test_another_slide_is_refused(cli, result, tmp_path):
    Image.fromarray(np.zeros((260, 300, 3), np.uint8)).save(tmp_path / "another.png")
    words = ("data", "regions", result, "--most-uncertain", 1, "--size", 200, "--out", tmp_path / "regions")
    shown = cli(*words, "--slide", tmp_path / "another.png")
    assert shown.code == 2
    assert "expected the slide of the result" in shown.err


def test_an_unfinished_result_is_refused(cli, tmp_path):
    shown = cli("data", "regions", tmp_path, "--most-uncertain", 1, "--out", tmp_path / "regions")
    assert shown.code == 1
    assert "run histocerb segment first" in shown.err
