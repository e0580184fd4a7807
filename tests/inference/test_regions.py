from __future__ import annotations

import pytest
from PIL import Image as PillowImage

from benchmarks.stand_in import StandInPredictor
from histocerb.core.tasks import CERBERUS
from histocerb.data.regions import read_regions
from histocerb.inference.cohort.results import keep_columns
from histocerb.inference.manifest import RunningModel
from histocerb.inference.regions import cut_regions
from histocerb.inference.slide import segment_slide
from histocerb.slides.reader import open_slide


@pytest.mark.parametrize(
    ("heads", "tasks"),
    [
        (["nuclei.instance", "nuclei.type"], ("nuclei",)),
        (["nuclei.instance", "tissue.patch"], ("nuclei",)),
        (["gland.instance", "gland.type", "lumen.instance"], ("gland", "lumen")),
    ],
)
def test_regions_are_complete_for_what_the_model_looks_for(heads, tasks, make_image, tmp_path):
    """Truth that nobody looked for would be learned as background."""
    PillowImage.fromarray(make_image(400, 400, 3)).save(tmp_path / "a.png")
    spec = CERBERUS.only(heads)
    model = RunningModel("stand-in", "0" * 64, spec, StandInPredictor(spec))
    segment_slide(open_slide(tmp_path / "a.png", 0.5), model, tmp_path / "a")
    found = cut_regions(tmp_path / "a", tmp_path / "regions", 1, 200)
    assert [region.tasks for region in found] == [tasks]
    assert all(any(task.kind in reason for task in spec.tasks) for reason in found[0].reasons)


def test_regions_are_of_the_patient_of_their_slide(make_image, tmp_path):
    PillowImage.fromarray(make_image(400, 400, 3)).save(tmp_path / "a.png")
    spec = CERBERUS.only(["nuclei.instance"])
    model = RunningModel("stand-in", "0" * 64, spec, StandInPredictor(spec))
    segment_slide(open_slide(tmp_path / "a.png", 0.5), model, tmp_path / "a")
    for number, columns in enumerate(({}, {"grade": "2"}, {"patient": " "}, {"patient": "P1", "grade": "2"})):
        keep_columns(tmp_path / "a", columns)
        cut_regions(tmp_path / "a", tmp_path / f"regions-{number}", 1, 200)
    found = [read_regions(tmp_path / f"regions-{number}")[0].patient for number in range(4)]
    assert found == ["", "", "", "P1"]
