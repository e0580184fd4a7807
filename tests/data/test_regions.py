import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from histocerb.core.colours import colour
from histocerb.core.errors import DataError, OutputError
from histocerb.core.geometry import Region
from histocerb.core.proposal import Proposal
from histocerb.core.tasks import CERBERUS
from histocerb.core.wkb import encode_polygons
from histocerb.data.regions import Origin, read_regions, write_regions
from histocerb.data.sources.labelled import Correction, labelled, untouched
from histocerb.data.validate import validate
from histocerb.postproc.outlines import trace
from histocerb.slides.reader import open_slide

PROPOSAL = Proposal(Region(30, 20, 60, 40), 0.5, ("gland outlines are unsure (0.40, slide 0.20)",))
CLASSES = {"gland": ("gland", "surface-epithelium"), "lumen": (None,), "nucleus": ("plasma", "connective")}


def labels(seed, count, size):
    """H x W ids 1..count: rectangles, some with a hole, on a slide of 120 x 100 working pixels."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((100, 120), np.int32)
    for k in range(1, count + 1):
        top, left = rng.integers(0, 100 - size), rng.integers(0, 120 - size)
        if ids[top : top + size, left : left + size].any():
            continue
        ids[top : top + size, left : left + size] = k
        ids[top + 1 : top + 3, left + 2 : left + 4] = 0
    present = np.unique(ids[ids > 0])
    return np.searchsorted(present, ids).astype(np.int32) + (ids > 0)


@pytest.fixture
def truth():
    """Label map per kind; object ids of the table run through the kinds."""
    return {"gland": labels(1, 12, 30), "lumen": labels(2, 12, 12), "nucleus": labels(3, 60, 6)}


@pytest.fixture
def table(truth):
    """Objects in level-0 pixels of a slide of twice the working resolution."""
    parts, first = [], 1
    for kind, ids in truth.items():
        n = int(ids.max())
        parts.append(
            pa.table(
                {
                    "object_id": pa.array(np.arange(first, first + n)),
                    "kind": pa.array([kind] * n),
                    "class": pa.array([CLASSES[kind][i % len(CLASSES[kind])] for i in range(n)], pa.string()),
                    **{c: pa.array(np.ones(n, np.float32)) for c in ("class_prob", "score", "area_um2")},
                    "geometry": encode_polygons(trace(ids, n).transform(2.0)),
                }
            )
        )
        first += n
    return pa.concat_tables(parts)


@pytest.fixture
def origin(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 240, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "TCGA-aa-1234-01Z.png")
    return Origin(open_slide(tmp_path / "TCGA-aa-1234-01Z.png", 0.25), 0.5, "model", "f" * 64, CERBERUS)


@pytest.fixture
def folder(tmp_path, origin, table):
    write_regions(tmp_path / "out", origin, [PROPOSAL], lambda region: table)
    return tmp_path / "out"


def features(folder):
    (path,) = folder.glob("*.geojson")
    return json.loads(path.read_text(encoding="utf-8"))["features"]


def save_again(folder):
    """What QuPath does: the same features, written otherwise."""
    for path in folder.glob("*.geojson"):
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8"))["features"]))


def test_regions_json_says_where_it_is_from(folder, origin):
    (row,) = json.loads((folder / "regions.json").read_text(encoding="utf-8"))
    assert (row["x"], row["y"], row["width"], row["height"]) == (60, 40, 120, 80)
    assert (row["slide_mpp"], row["mpp"]) == (0.25, 0.5)
    assert (row["slide"], row["model"], row["model_sha256"]) == (origin.slide.path, "model", "f" * 64)
    assert (row["score"], tuple(row["reasons"])) == (PROPOSAL.score, PROPOSAL.reasons)
    assert sorted(row["tasks"]) == ["gland", "lumen", "nuclei"]
    assert row["name"] == "TCGA-aa-1234-01Z-x60-y40"
    assert [region.name for region in read_regions(folder)] == [row["name"]]


def test_png_has_the_pixels_of_the_region(folder, origin):
    (path,) = folder.glob("*.png")
    np.testing.assert_array_equal(np.array(Image.open(path)), origin.slide.read(PROPOSAL.region, 0.5))


def test_objects_with_a_pixel_inside_and_no_others(folder, truth):
    inside = {kind: np.unique(ids[20:60, 30:90]) for kind, ids in truth.items()}
    assert len(features(folder)) == sum(np.count_nonzero(found) for found in inside.values())
    assert any(ids[20:60, 29].any() and (ids[20:60, 29] == ids[20:60, 30]).any() for ids in truth.values())


def test_features_are_annotations_that_qupath_lets_people_edit(folder):
    for feature in features(folder):
        assert feature["properties"]["objectType"] == "annotation"
        name = feature["properties"]["classification"]["name"]
        assert feature["properties"]["classification"]["color"] == list(colour(name))


def test_coming_back_uncorrected_gives_the_same_labels(folder, truth, origin):
    save_again(folder)
    (entry,) = labelled([folder], Correction(2, "someone", "2026-11-23"))
    sample = entry.load()
    validate(sample)
    assert (sample.source, sample.patient, sample.mpp) == ("round-2", "TCGA-AA-1234", 0.5)
    np.testing.assert_array_equal(sample.image, origin.slide.read(PROPOSAL.region, 0.5))
    for kind, ids in truth.items():
        found, expected = sample.objects[CERBERUS.task_of_kind(kind).name], ids[20:60, 30:90]
        pairs = np.unique(np.stack([found.ids.ravel(), expected.ravel()]), axis=1).T.tolist()
        assert len(pairs) == len(np.unique(expected)) == len(np.unique(found.ids))
        assert [0, 0] in pairs
        names = {k: CLASSES[kind][(true - 1) % len(CLASSES[kind])] for k, true in pairs if k}
        assert found.classes == {k: name for k, name in names.items() if name}


def test_nobody_has_looked_at_it_yet(folder):
    assert untouched([folder]) == ["TCGA-aa-1234-01Z-x60-y40"]
    with pytest.raises(DataError, match="none that was saved"):
        labelled([folder], Correction(1, "someone", "2026-11-23"))


def test_regions_are_added_but_never_replaced(folder, origin, table):
    save_again(folder)
    corrected = next(folder.glob("*.geojson")).read_bytes()
    other = Proposal(Region(0, 60, 60, 40), 0.1, ("why not",))
    with pytest.raises(OutputError, match="may be corrected already"):
        write_regions(folder, origin, [other, PROPOSAL], lambda region: table)
    assert len(list(folder.iterdir())) == 3
    assert next(folder.glob("*.geojson")).read_bytes() == corrected
    write_regions(folder, origin, [other], lambda region: table.slice(0, 0))
    assert [region.x for region in read_regions(folder)] == [0, 60]
    assert untouched([folder]) == ["TCGA-aa-1234-01Z-x0-y120"]
    assert json.loads((folder / "TCGA-aa-1234-01Z-x0-y120.geojson").read_text())["features"] == []


@pytest.mark.parametrize("content", [None, "{", "[1]", '[{"name": "a"}]', '{"a": 1}'])
def test_a_folder_without_its_list_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "regions.json").write_text(content)
    with pytest.raises(DataError, match=r"regions\.json: expected the regions"):
        read_regions(tmp_path)


def test_unwritable_place_is_one_sentence(tmp_path, origin, table):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --out"):
        write_regions(tmp_path / "file" / "out", origin, [PROPOSAL], lambda region: table)
