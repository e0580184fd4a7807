import json

import numpy as np
import pytest
from PIL import Image

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.convert import convert
from histocerb.data.sources import DATA_SETS
from histocerb.data.sources.entry import as_entries
from histocerb.data.store import Store


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
    convert(as_entries([sample(index) for index in range(4)]), tmp_path / "store")
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


def test_a_second_folder_replaces_or_comes_beside(cli, tmp_path):
    for name in ("one", "two"):
        for below in ("images", "labels"):
            (tmp_path / name / below).mkdir(parents=True)
        Image.fromarray(np.full((60, 80, 3), 200, np.uint8)).save(tmp_path / name / "images" / f"{name}.png")
        Image.fromarray(np.eye(60, 80, dtype=np.uint8)).save(tmp_path / name / "labels" / f"{name}.png")

    def convert_folder(name, *more):
        words = ("--out", tmp_path / "store", "--task", "nuclei", "--mpp", 0.5, *more)
        shown = cli("data", "convert", "folder", tmp_path / name, *words)
        assert shown.code == 0, shown.err
        return shown.out, [record.who for record in Store(tmp_path / "store").records]

    assert convert_folder("one")[1] == ["folder/one"]
    assert convert_folder("two", "--name", "second")[1] == ["folder/one", "second/two"]
    out, names = convert_folder("two")
    assert names == ["folder/two", "second/two"]
    assert "replaced: 1 samples of folder" in out
    assert "such as one" in out


def test_unknown_source_names_the_known_ones(cli, tmp_path):
    shown = cli("data", "convert", "teeth", tmp_path, "--out", tmp_path / "store")
    assert shown.code == 2
    assert "glas" in shown.err


def test_options_without_effect_are_refused(cli, tmp_path):
    shown = cli("data", "convert", "glas", tmp_path, "--out", tmp_path / "store", "--mpp", "0.5")
    assert shown.code == 2
    assert "--mpp has no effect on glas" in shown.err
    shown = cli("data", "convert", "glas", tmp_path, "--out", tmp_path / "store", "--class", "gland")
    assert shown.code == 2
    assert "THEIRS=OURS" in shown.err


def test_sources_are_listed_with_their_terms(cli):
    shown = cli("data", "sources")
    assert shown.code == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines()[1:]}
    assert set(lines) == set(DATA_SETS)
    assert "commercial" in lines["glas"]


def test_split_into_folds_and_info(cli, store, tmp_path):
    shown = cli("data", "split", store, "--folds", "2")
    assert shown.code == 0, shown.err
    assert [line.split() for line in shown.out.splitlines()[1:3]] == [
        ["test", "fold-1", "2"],
        ["test", "fold-2", "2"],
    ]
    shown = cli("data", "info", store)
    assert shown.out.splitlines()[-1].split() == ["test", "gland", "gland", "2", "2"]
    shown = cli("data", "split", store, "--folds", "9")
    assert "test has too few patients for so many folds" in shown.out
    shown = cli("data", "split", store, "--folds", "2", "--valid", "0.5")
    assert (shown.code, "found both" in shown.err) == (2, True)
    shown = cli("data", "split", store, "--external", "nowhere")
    assert shown.code == 2
    assert "nowhere" in shown.err


def test_pictures_of_a_store(cli, tmp_path):
    made = cli("data", "synth", "--out", tmp_path / "s", "--slides", "2", "--side", "300", "--cells", "1")
    assert made.code == 0, made.err
    sheet, views = tmp_path / "sheet.png", tmp_path / "views.png"
    shown = cli("data", "info", tmp_path / "s", "--sheet", sheet, "--views", views)
    assert shown.code == 0, shown.err
    for path in (sheet, views):
        with Image.open(path) as opened:
            assert min(opened.size) > 300
    shown = cli("data", "info", tmp_path / "s", "--sheet", tmp_path / "no" / "folder.png")
    assert shown.code == 1
    assert "folder.png" in shown.err


def test_synth_with_some_heads(cli, tmp_path):
    options = ("--out", tmp_path / "s", "--slides", "2", "--side", "400")
    shown = cli("data", "synth", *options, "--head", "gland.instance", "--head", "lumen.instance")
    assert shown.code == 0, shown.err
    shown = cli("data", "info", tmp_path / "s")
    rows = [line.split() for line in shown.out.splitlines() if "(no class)" in line]
    tasks = {task for _, task, *_ in rows}
    assert tasks <= {"gland", "lumen"}
    assert "gland" in tasks
    shown = cli("data", "synth", *options, "--cells", "0", "--head", "tissue.patch")
    assert shown.code == 2
    options = ("--out", tmp_path / "s", "--slides", "1", "--side", "300", "--cells", "0", "--seed", "7")
    shown = cli("data", "synth", *options)
    assert shown.code == 0, shown.err
    assert "replaced: 2 earlier samples of synth are no longer in the store" in shown.out


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
    assert report["data"]["splits"] == ["train"]
    assert report["summary"]["test"]["gland"]["dice"]["n"] == 3
    assert shown.out.splitlines()[1].split()[:3] == ["all", "gland", "3"]


@pytest.mark.usefixtures("colour_model")
def test_evaluate_unknown_split(cli, store, tmp_path):
    shown = cli("evaluate", "--data", store, "--out", tmp_path / "report.json", "--split", "test")
    assert shown.code == 2
    assert "train, valid" in shown.err
