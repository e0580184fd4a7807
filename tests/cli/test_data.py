import json

import numpy as np
import pytest
from PIL import Image

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.convert import convert


def sample(index):
    ids = np.zeros((64, 64), np.int32)
    ids[10:40, 10:40] = 1
    image = np.full((64, 64, 3), 200, np.uint8)
    return Sample(
        image,
        0.5,
        {"gland": ObjectLabels(ids, {1: "gland"})},
        None,
        "test",
        f"patient-{index}",
        f"image-{index}",
    )


@pytest.fixture
def store(tmp_path):
    convert([sample(index) for index in range(4)], tmp_path / "store")
    return tmp_path / "store"


def test_convert_glas(cli, tmp_path):
    ids = np.zeros((60, 80), np.uint8)
    ids[10:50, 10:40] = 1
    (tmp_path / "glas").mkdir()
    for name in ("train_1", "train_2"):
        Image.fromarray(np.full((60, 80, 3), 200, np.uint8)).save(tmp_path / "glas" / f"{name}.png")
        Image.fromarray(ids).save(tmp_path / "glas" / f"{name}_anno.png")
    rows = "name,patient ID,grade (GlaS),grade (Sirinukunwattana et al. 2015)\n"
    rows += "train_1,1,benign,healthy\ntrain_2,2,benign,healthy\n"
    (tmp_path / "glas" / "Grade.csv").write_text(rows)
    shown = cli("data", "convert", "glas", tmp_path / "glas", "--out", tmp_path / "store")
    assert shown.code == 0, shown.err
    assert [line.split() for line in shown.out.splitlines()[1:3]] == [
        ["glas", "train", "1"],
        ["glas", "valid", "1"],
    ]
    assert cli("data", "check", tmp_path / "store").code == 0


def test_unknown_source_names_the_known_ones(cli, tmp_path):
    shown = cli("data", "convert", "lizard", tmp_path, "--out", tmp_path / "store")
    assert shown.code == 2
    assert "glas" in shown.err


def test_check_finds_damage(cli, store):
    (file,) = store.glob("pixels/*.bin")
    content = bytearray(file.read_bytes())
    content[100] ^= 255
    file.write_bytes(content)
    shown = cli("data", "check", store)
    assert shown.code == 1
    assert "image-0" in shown.out


def test_check_without_a_store(cli, tmp_path):
    shown = cli("data", "check", tmp_path)
    assert shown.code == 1
    assert len(shown.err.splitlines()) == 1


@pytest.mark.usefixtures("colour_model")
def test_evaluate_writes_valid_json(cli, store, tmp_path):
    shown = cli("evaluate", "--data", store, "--out", tmp_path / "report.json", "--split", "train")
    assert shown.code == 0, shown.err
    report = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert report["split"] == "train"
    assert report["sources"]["test"]["gland"]["dice"]["n"] == 3
    assert shown.out.splitlines()[1].split()[:3] == ["test", "gland", "3"]


@pytest.mark.usefixtures("colour_model")
def test_evaluate_unknown_split(cli, store, tmp_path):
    shown = cli("evaluate", "--data", store, "--out", tmp_path / "report.json", "--split", "test")
    assert shown.code == 2
    assert "train, valid" in shown.err
