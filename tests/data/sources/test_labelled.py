import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from histocerb.core.errors import DataError, UsageError
from histocerb.core.samples import Provenance
from histocerb.data.sources.labelled import Correction, labelled, untouched, without_patient
from histocerb.data.validate import validate

BY_ME = Correction(3, "A. N.", "2026-11-20")


def feature(name, x, y, side):
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


FEATURES = [
    feature("gland", -10, -10, 30),
    feature("lumen", 4, 4, 6),
    feature("Plasma", 30, 5, 4),
    feature("inflammatory", 32, 5, 4),
    feature("nucleus", 20, 20, 5),
]


def make(folder, name="case-x0-y0", features=FEATURES, slide=r"C:\slides\case.svs", size=(40, 30), **more):
    """A region of 40 x 30 px, cut at 0.5 um from a slide of 0.25 um, as it is after its correction."""
    folder.mkdir(exist_ok=True)
    path = folder / "regions.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    row = dict(zip(("x", "y", "width", "height"), (0, 0, 80, 60), strict=True))
    row |= {"name": name, "slide": slide, "slide_mpp": 0.25, "mpp": 0.5}
    row |= {"model": "default", "model_sha256": "ab", "tasks": ["gland", "lumen", "nuclei"]}
    row |= {"score": 0.4, "reasons": ["so"], "geojson_sha256": hashlib.sha256(b"as it was").hexdigest()}
    path.write_text(json.dumps([*rows, row | more]))
    Image.fromarray(np.full((size[1], size[0], 3), 99, np.uint8)).save(folder / f"{name}.png")
    (folder / f"{name}.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8"
    )
    return folder


def load(folder, correction=BY_ME):
    (entry,) = labelled([folder], correction)
    sample = entry.load()
    validate(sample)
    assert sample.name == entry.name
    return sample


def test_sample_of_a_corrected_region(tmp_path):
    sample = load(make(tmp_path / "a"))
    assert (sample.source, sample.patient, sample.name, sample.mpp) == ("round-3", "case", "case-x0-y0", 0.5)
    assert sample.provenance == Provenance(3, "A. N.", "2026-11-20", "default sha256:ab")
    assert sample.image.shape == (30, 40, 3)
    gland, lumen, nuclei = (sample.objects[task] for task in ("gland", "lumen", "nuclei"))
    assert np.array_equal(gland.ids, np.pad(np.ones((20, 20)), ((0, 10), (0, 20))))
    assert gland.classes == {1: "gland"}
    assert np.count_nonzero(lumen.ids) == 36
    assert lumen.classes == {}
    assert nuclei.ids[6, 31] == 1
    assert nuclei.ids[6, 33] == nuclei.ids[6, 35] == 2, "the later one wins"
    assert nuclei.classes == {1: "plasma", 2: "inflammatory"}
    assert nuclei.ids[22, 22] == 3


def test_without_an_object_there_is_nothing_and_that_is_known(tmp_path):
    sample = load(make(tmp_path / "a", features=[]))
    assert set(sample.objects) == {"gland", "lumen", "nuclei"}
    assert not any(labels.ids.any() for labels in sample.objects.values())


def test_only_the_tasks_that_were_corrected(tmp_path):
    only = Correction(1, "me", "2026-11-20", ("gland",))
    assert set(load(make(tmp_path / "a"), only).objects) == {"gland"}


def test_patients_of_tcga(tmp_path):
    assert load(make(tmp_path / "a", slide="x/TCGA-AB-12cd-01Z-00.svs")).patient == "TCGA-AB-12CD"


@pytest.mark.parametrize(("patient", "expected"), [("P1 ", "P1"), (0, "0"), ("", "case"), (None, "case")])
def test_patients_are_those_of_the_regions(tmp_path, patient, expected):
    folder = make(tmp_path / "a", patient=patient)
    assert load(folder).patient == expected
    assert without_patient([folder]) == (["case"] if expected == "case" else [])


def test_slides_that_count_as_a_patient(tmp_path):
    folder = make(make(tmp_path / "a", "b-1", slide="b.svs"), "a-1", slide="a.svs")
    make(make(folder, "a-2", slide="a.svs"), "c-1", slide="c.svs", patient="P1")
    make(make(folder, "d-1", slide="d.svs"), "t-1", slide="TCGA-AB-12cd-01Z-00.svs")
    (folder / "d-1.geojson").write_bytes(b"as it was")
    assert without_patient([folder]) == ["a", "b"]


def test_what_nobody_saved_is_left_out(tmp_path):
    folder = make(make(tmp_path / "a"), "case-x9-y9")
    (folder / "case-x0-y0.geojson").write_bytes(b"as it was")
    assert untouched([folder]) == ["case-x0-y0"]
    assert [entry.name for entry in labelled([folder], BY_ME)] == ["case-x9-y9"]


def test_several_folders_in_order_of_names(tmp_path):
    folders = [make(tmp_path / "a", "z"), make(tmp_path / "b", "y")]
    assert [entry.name for entry in labelled(folders, BY_ME)] == ["y", "z"]
    with pytest.raises(DataError, match="found z in another folder"):
        labelled([*folders, make(tmp_path / "c", "z")], BY_ME)


@pytest.mark.parametrize("ending", ["png", "geojson"])
def test_missing_file(tmp_path, ending):
    folder = make(tmp_path / "a")
    (folder / f"case-x0-y0.{ending}").unlink()
    with pytest.raises(DataError, match=rf"case-x0-y0\.{ending}: expected a file"):
        labelled([folder], BY_ME)


def test_image_of_another_size(tmp_path):
    with pytest.raises(DataError, match=r"case-x0-y0\.png: expected \(30, 40\) pixels, found \(30, 41\)"):
        load(make(tmp_path / "a", size=(41, 30)))


@pytest.mark.parametrize("name", ["Tumor", "", "tissue"])
def test_unknown_class(tmp_path, name):
    with pytest.raises(DataError, match=rf"x0-y0\.geojson: expected classes .*found '{name}'"):
        load(make(tmp_path / "a", features=[feature(name, 0, 0, 5)]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0, "me", "2026-11-20"), "round from 1"),
        ((1, " ", "2026-11-20"), "--annotator"),
        ((1, "me", "20.11.2026"), "YYYY-MM-DD"),
        ((1, "me", "2026-11-20", ("tissue",)), "tasks"),
    ],
)
def test_wrong_corrections(fields, message):
    with pytest.raises(UsageError, match=message):
        Correction(*fields)
