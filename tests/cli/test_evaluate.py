import json

import numpy as np
import pytest

from histocerb import api
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries

pytestmark = pytest.mark.usefixtures("colour_model")


def sample(number):
    """A nucleus and a gland, drawn as the colour model sees them."""
    rng = np.random.default_rng(number)
    shade = np.kron(rng.integers(130, 255, (10, 10)), np.ones((15, 16)))  # no two look the same
    image = np.repeat(shade[..., None], 3, axis=2).astype(np.uint8)
    image[30:110, 20:120] = (120, 120, 220)
    image[50 : 62 + number, 60:72] = (60, 40, 90)
    gland, nucleus = np.zeros((2, 150, 160), np.int32)
    gland[30:110, 20:120] = 1
    nucleus[50 : 62 + number, 60:72] = 1
    labels = {"gland": ObjectLabels(gland, {1: "gland"}), "nuclei": ObjectLabels(nucleus, {1: "plasma"})}
    return Sample(image, 0.5, labels, source="drawn", patient=f"p{number}", name=f"i{number}")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluate") / "store"
    convert(as_entries(sample(number) for number in range(5)), path)
    return path


@pytest.fixture
def two_models(colour_model, monkeypatch):
    """Models of other names have other weights."""
    del colour_model
    load = api.load_model

    def load_model(name="default", device="auto"):
        model = load(name, device)
        running = model.running.__class__(
            str(name), f"{len(str(name)):064d}", model.spec, model.running.predictor
        )
        return api.Model(running)

    monkeypatch.setattr(api, "load_model", load_model)


def test_files_and_figures(cli, store, tmp_path):
    out = tmp_path / "report.json"
    shown = cli(
        "evaluate", "--data", store, "--out", out, "--split", "train", "--split", "valid", "--pictures", 1
    )
    assert shown.code == 0, shown.err
    document = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert document["model"]["path"] == "default"
    assert document["data"]["splits"] == ["train", "valid"]
    assert document["summary"]["drawn"]["gland"]["dice"]["n"] == 5
    assert document["summary"]["all"]["nuclei"]["types"]["accuracy"]["mean"] == 0
    assert shown.out.splitlines()[1].split()[:3] == ["all", "nuclei", "5"]
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "report.md").is_file()
    assert (tmp_path / "report_images" / "gland-best-1.jpg").is_file()


def test_a_source_that_is_not_there(cli, store, tmp_path):
    shown = cli("evaluate", "--data", store, "--out", tmp_path / "report.json", "--source", "glas")
    assert shown.code != 0
    assert "(drawn), found 'glas'; choose one of them" in shown.err


def test_a_few_images_without_pictures(cli, store, tmp_path):
    out = tmp_path / "report.json"
    shown = cli("evaluate", "--data", store, "--out", out, "--split", "train", "--images", 2, "--pictures", 0)
    assert shown.code == 0, shown.err
    assert len(json.loads(out.read_text())["images"]) == 2
    assert not list(tmp_path.glob("report_images/*.jpg"))


@pytest.mark.usefixtures("two_models")
def test_two_models_and_an_earlier_report(cli, store, tmp_path):
    out, earlier = tmp_path / "both.json", tmp_path / "earlier.json"
    shown = cli(
        "evaluate",
        "--data",
        store,
        "--out",
        out,
        "--model",
        "first",
        "--model",
        "another",
        "--split",
        "train",
    )
    assert shown.code == 0, shown.err
    assert "p (Holm)" in shown.out
    rows = json.loads(out.read_text())["comparison"]["rows"]["all"]
    assert rows["gland"]["pq"]["difference"] == 0
    assert (
        cli("evaluate", "--data", store, "--out", earlier, "--model", "first", "--split", "train").code == 0
    )
    again = cli(
        "evaluate",
        "--data",
        store,
        "--out",
        out,
        "--model",
        "another",
        "--split",
        "train",
        "--baseline",
        earlier,
    )
    assert again.code == 0, again.err
    assert json.loads(out.read_text())["comparison"]["rows"]["all"] == rows


def test_a_comparison_does_not_replace_its_baseline(cli, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.json").write_text("mine")
    shown = cli("evaluate", "--data", store, "--baseline", "report.json", "--out", tmp_path / "report.json")
    assert shown.code == 2
    assert "expected another file as --out than as --baseline" in shown.err
    assert (tmp_path / "report.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--split", "test"], 2, "train, valid"),
        (["--model", "a", "--model", "b", "--model", "c"], 2, "two to compare"),
        (["--model", "a", "--model", "a"], 2, "same weights twice"),
        (["--model", "a", "--model", "b", "--pictures", "3"], 2, "pictures of one model"),
        (["--baseline", "nothing.json"], 1, "expected a report of histocerb evaluate"),
        (["--out", "/proc/nothing/report.json"], 1, "choose another --out"),
        (["--out", "report.txt"], 2, "end --out in .json"),
        (["--images", "0"], 2, "images"),
    ],
)
def test_bad_input_is_one_sentence(cli, store, tmp_path, monkeypatch, arguments, code, sentence):
    monkeypatch.chdir(tmp_path)
    out = [] if "--out" in arguments else ["--out", "report.json"]
    shown = cli("evaluate", "--data", store, *out, *arguments)
    assert shown.code == code, shown.err
    lines = [line for line in shown.err.splitlines() if line.startswith("histocerb:")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert "Traceback" not in shown.err
    assert not (tmp_path / "report.json").exists()


def test_no_store(cli, tmp_path):
    shown = cli("evaluate", "--data", tmp_path, "--out", tmp_path / "report.json")
    assert shown.code == 1
    assert "expected a store" in shown.err
