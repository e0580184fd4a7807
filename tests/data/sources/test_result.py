import json
import uuid
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from histocerb.analysis.objects import Scale, object_rows, object_schema
from histocerb.core.errors import DataError
from histocerb.core.instances import InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.tasks import CERBERUS
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.result import DATA_SET
from histocerb.data.validate import validate
from histocerb.slides.reader import open_slide
from histocerb.slides.remote import file_system

SCALE = Scale(slide_mpp=0.25, working_mpp=0.5)


def read(folder: Path):
    return DATA_SET.read(folder, ReadOptions())


def table(kind: str, boxes: list[tuple[int, int, int, int]], code: int) -> InstanceTable:
    """Boxes (left, top, right, bottom) in working pixels."""
    n, classes = len(boxes), CERBERUS.task_of_kind(kind).classes
    corners = np.array(boxes, float).reshape(-1, 4)
    rings = [[[(a, b), (c, b), (c, d), (a, d)]] for a, b, c, d in boxes]
    return InstanceTable(
        kind=kind,
        classes=classes,
        class_code=np.full(n, code, np.int16),
        class_prob=np.ones(n, np.float32),
        score=np.ones(n, np.float32),
        centroid=(corners[:, :2] + corners[:, 2:]) / 2,
        area_px=np.ones(n),
        bbox=corners,
        first_px=corners[:, 1::-1].astype(np.int64),
        outlines=Outlines.from_rings(rings),
    )


def rows(made: InstanceTable) -> pa.Table:
    none = np.zeros(len(made), np.int64)
    return object_rows(CERBERUS, made, 1, SCALE, none, none.astype(np.int16))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A slide of 200 x 100 px at 0.25 um with two glands and three nuclei, and its result."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[..., 0], pixels[60, 120] = 200, 255
    slide_path = tmp_path / "slides" / "TCGA-A6-2671-01Z.png"
    slide_path.parent.mkdir()
    assert cv2.imwrite(str(slide_path), pixels)
    slide = open_slide(slide_path, 0.25)
    found = tmp_path / "out" / "TCGA-A6-2671-01Z"
    found.mkdir(parents=True)
    about = {"path": str(slide_path), "fingerprint": slide.fingerprint(), "mpp": 0.25}
    manifest = {"status": "done", "slide": about, "counts": {"nucleus": {}, "gland": {}, "lumen": {}}}
    (found / "manifest.json").write_text(json.dumps(manifest))
    with pq.ParquetWriter(found / "objects.parquet", object_schema(CERBERUS)) as writer:
        writer.write_table(rows(table("gland", [(0, 0, 20, 20), (50, 25, 80, 45)], 0)))
        writer.write_table(rows(table("nucleus", [(1, 1, 3, 3), (60, 30, 62, 33), (90, 40, 94, 44)], 3)))
        writer.write_table(rows(table("nucleus", [(5, 5, 7, 7)], -1)))
    regions = [
        {"name": "second", "x": 90, "y": 40, "width": 60, "height": 50, "score": 0.7},
        {"name": "corner", "x": 0, "y": 0, "width": 16, "height": 16},
    ]
    (found / "regions.json").write_text(json.dumps(regions))
    return tmp_path / "out"


def change(folder: Path, name: str, content: object) -> None:
    (folder / "TCGA-A6-2671-01Z" / name).write_text(json.dumps(content))


def test_objects_of_rectangles(folder):
    entries = read(folder)
    assert [entry.name for entry in entries] == ["TCGA-A6-2671-01Z-corner", "TCGA-A6-2671-01Z-second"]
    assert [path.name for path in entries[0].files] == [
        "TCGA-A6-2671-01Z.png",
        "objects.parquet",
        "manifest.json",
        "regions.json",
    ]
    corner, second = (entry.load() for entry in entries)
    assert (second.source, second.patient, second.mpp) == ("result", "TCGA-A6-2671", 0.25)
    assert second.image.shape == (50, 60, 3)
    assert second.image[20, 30].tolist() == [255] * 3
    gland = np.zeros((50, 60), np.int32)
    gland[10:50, 10:60] = 1
    assert np.array_equal(second.objects["gland"].ids, gland)
    assert second.objects["gland"].classes == {1: "gland"}
    assert np.argwhere(second.objects["nuclei"].ids).tolist() == [
        [y, x] for y in range(20, 26) for x in range(30, 34)
    ]
    assert second.objects["nuclei"].classes == {1: "plasma"}
    assert not second.objects["lumen"].ids.any()
    assert np.unique(corner.objects["nuclei"].ids).tolist() == [0, 1, 2]
    assert corner.objects["nuclei"].classes == {1: "plasma"}
    for sample in (corner, second):
        validate(sample)


def test_one_slide_and_one_that_moved(folder):
    slide = folder.parent / "slides" / "TCGA-A6-2671-01Z.png"
    slide.rename(folder / slide.name)
    assert len(read(folder / "TCGA-A6-2671-01Z")) == 2
    (folder / slide.name).unlink()
    with pytest.raises(
        DataError, match=r"manifest\.json: expected the slide that was segmented, found.*no such"
    ):
        read(folder)


def test_rectangles_of_data_regions(folder):
    rows = [
        {
            "name": "a",
            "slide": "C:\\\\s\\\\TCGA-A6-2671-01Z.png",
            "x": 99.6,
            "y": 0.0,
            "width": 100.9,
            "height": 9.4,
        },
        {"name": "b", "slide": "other.svs", "x": 1e6, "y": 0.0, "width": 9.0, "height": 9.0},
    ]
    change(folder, "regions.json", rows)
    (entry,) = read(folder)
    assert entry.name == "TCGA-A6-2671-01Z-a"
    assert entry.load().image.shape == (9, 100, 3)


def test_patients_are_those_of_rectangles_then_those_of_the_slide(folder):
    rows = [{"name": name, "x": 0, "y": 0, "width": 9, "height": 9} for name in "ab"]
    change(folder, "regions.json", [rows[0] | {"patient": "P1"}, rows[1] | {"patient": ""}])
    assert [entry.load().patient for entry in read(folder)] == ["P1", "TCGA-A6-2671"]
    change(folder, "columns.json", {"patient": "P2", "grade": "3"})
    assert [entry.load().patient for entry in read(folder)] == ["P1", "P2"]
    change(folder, "columns.json", {"grade": "3"})
    entries = read(folder)
    assert [entry.load().patient for entry in entries] == ["P1", "TCGA-A6-2671"]
    assert [entry.recipe for entry in entries] == ["P1", "TCGA-A6-2671"]


def test_another_slide_of_that_name(folder):
    slide = folder.parent / "slides" / "TCGA-A6-2671-01Z.png"
    cv2.imwrite(str(slide), np.zeros((100, 200, 3), np.uint8))
    with pytest.raises(DataError, match=r"2671-01Z\.png: expected the slide of .*found another"):
        read(folder)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([], "expected rectangles on .*found none"),
        ({"name": "a"}, "expected a list of name, x, y, width, height"),
        ([{"name": "a", "x": 1, "y": 1, "width": 5}], "found KeyError.*height"),
        (
            [{"name": "a", "x": 190, "y": 1, "width": 12, "height": 4}],
            "within 200 x 100 pixels, found a at 190",
        ),
        ([{"name": "a", "x": 1, "y": 1, "width": 0, "height": 4}], "found a at 1, 1"),
        ([{"name": "a", "x": 1, "y": 1, "width": 4, "height": 4}] * 2, "found a twice"),
    ],
)
def test_rectangles_that_are_wrong(folder, regions, message):
    change(folder, "regions.json", regions)
    with pytest.raises(DataError, match=rf"regions\.json: .*{message}"):
        read(folder)


def test_results_that_are_not_whole(folder, tmp_path):
    found = folder / "TCGA-A6-2671-01Z"
    (found / "objects.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(DataError, match=r"objects\.parquet: expected objects of histocerb"):
        read(folder)[0].load()
    manifest = json.loads((found / "manifest.json").read_text())
    for wrong, message in (
        (manifest | {"status": "running"}, "expected a finished result, found running"),
        ({"status": "done"}, "expected a manifest of histocerb, found KeyError"),
    ):
        change(folder, "manifest.json", wrong)
        with pytest.raises(DataError, match=rf"manifest\.json: {message}"):
            read(folder)
    (found / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"manifest\.json: expected JSON"):
        read(folder)
    (found / "regions.json").unlink()
    with pytest.raises(DataError, match=r"regions\.json: .*make it with: histocerb data regions"):
        read(folder)
    with pytest.raises(DataError, match=r"nowhere: expected what histocerb segment wrote"):
        read(tmp_path / "nowhere")


def test_a_slide_that_was_read_from_a_store(folder):
    manifest = json.loads((folder / "TCGA-A6-2671-01Z" / "manifest.json").read_text())
    local = Path(manifest["slide"]["path"])
    url = f"memory://{uuid.uuid4().hex}/{local.name}"
    fs, path = file_system(url)
    fs.pipe_file(path, local.read_bytes())
    local.unlink()
    manifest["slide"]["path"] = url
    change(folder, "manifest.json", manifest)
    corner, second = (entry.load() for entry in read(folder))
    assert (corner.patient, second.image.shape) == ("TCGA-A6-2671", (50, 60, 3))
