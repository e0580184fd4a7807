from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from benchmarks.stand_in import StandInPredictor
from histocerb.core.errors import OutputError
from histocerb.core.tasks import CERBERUS, PRESETS
from histocerb.inference.manifest import RunningModel, describe, read_manifest, tasks_of, write_manifest
from histocerb.inference.slide import segment_slide
from histocerb.slides.reader import open_slide

SIDE = 200


@pytest.fixture
def scan(make_image, tmp_path, monkeypatch) -> Path:
    """A picture by a path that only holds in the working folder."""
    (tmp_path / "scans").mkdir()
    PillowImage.fromarray(make_image(SIDE, SIDE, 3)).save(tmp_path / "scans" / "a.png")
    monkeypatch.chdir(tmp_path)
    return Path("scans/a.png")


def test_the_path_of_a_slide_holds_in_every_folder(scan, model, tmp_path, monkeypatch):
    out = tmp_path / "out"
    segment_slide(open_slide(scan, 0.5), model, out / "one")
    monkeypatch.chdir(scan.parent)
    segment_slide(open_slide("a.png", 0.5), model, out / "other")
    for name in ("objects.parquet", "tissue.parquet", "overview.png"):
        assert (out / "one" / name).read_bytes() == (out / "other" / name).read_bytes()
    manifests = [read_manifest(out / name) for name in ("one", "other")]
    assert [found.slide["path"] for found in manifests] == [str(tmp_path / "scans" / "a.png")] * 2
    assert manifests[0].key == manifests[1].key


def test_a_result_with_a_path_of_its_working_folder_is_taken_up(scan, model, tmp_path):
    made = segment_slide(open_slide(scan, 0.5), model, tmp_path / "a").manifest
    write_manifest(tmp_path / "a", replace(made, slide=made.slide | {"path": str(scan)}))
    assert segment_slide(open_slide(scan, 0.5), model, tmp_path / "a").skipped


@pytest.mark.parametrize("path", ["array", "s3://bucket/a.svs", "synth-1-20x30"])
def test_what_is_no_file_keeps_its_name(path, make_image, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slide = open_slide(make_image(SIDE, SIDE, 3), 0.5)
    slide.path = path
    assert describe(slide, model).slide["path"] == path


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
@pytest.mark.parametrize(
    "heads",
    [
        None,
        ["nuclei.instance", "nuclei.type"],
        ["nuclei.instance", "tissue.patch"],
        ["gland.instance"],
        ["gland.instance", "gland.type", "lumen.instance"],
    ],
    ids=["all", "nuclei", "untyped", "gland", "lumen"],
)
def test_tasks_are_those_of_the_model(preset, heads, make_image, tmp_path):
    spec = preset if heads is None else preset.only(heads)
    model = RunningModel("stand-in", "0" * 64, spec, StandInPredictor(spec))
    result = segment_slide(open_slide(make_image(SIDE, SIDE, 3), 0.5), model, tmp_path / "slide")
    assert tasks_of(result.manifest) == spec


def test_unknown_tasks_are_refused(make_image, model):
    begun = describe(open_slide(make_image(SIDE, SIDE, 3), 0.5), model)
    with pytest.raises(OutputError, match=f"{CERBERUS.name}.*found 'teeth'; update histocerb"):
        tasks_of(replace(begun, model=begun.model | {"tasks": "teeth"}))
