from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as PillowImage

from benchmarks.stand_in import StandInPredictor
from histocerb.core.errors import OutputError, SlideError
from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.core.wkb import decode_polygons
from histocerb.inference.manifest import RunningModel, Status, read_manifest
from histocerb.inference.slide import segment_slide
from histocerb.postproc import postprocess
from histocerb.slides.reader import open_slide

HEIGHT, WIDTH, SEED = 1111, 1213, 5
WINDOWS = 4


@pytest.fixture(scope="module")
def image(make_image):
    return make_image(HEIGHT, WIDTH, SEED)


@pytest.fixture(scope="module")
def slide(image):
    return open_slide(image, mpp=0.5)


@pytest.fixture(scope="module")
def result(slide, model, tmp_path_factory):
    return segment_slide(slide, model, tmp_path_factory.mktemp("result") / "slide")


def objects_bytes(folder: Path) -> bytes:
    return (folder / "objects.parquet").read_bytes()


class FailsAfter:
    """Predicts some windows, then does something else."""

    device = "stand-in"

    def __init__(self, predictor, windows, then):
        self.predictor, self.left, self.then, self.done = predictor, windows, then, 0

    def predict(self, image, margin_px):
        if self.done == self.left:
            self.then()
        self.done += 1
        return self.predictor.predict(image, margin_px)


def stop():
    raise RuntimeError("out of power")


def whole_maps(model, image):
    maps = model.predictor.maps(image)
    for head in CERBERUS.heads:
        if head.kind == "instance":
            background = 255 - maps[head.name].max(axis=2, keepdims=True)
            maps[head.name] = np.concatenate([background, maps[head.name]], axis=2)
    return maps


def test_containers_and_tissue_of_objects_are_right(result, image, model):
    glands = postprocess(whole_maps(model, image), CERBERUS)["gland"]
    ids = {row["object_id"]: row for row in result.objects.to_pylist()}
    gland_ids = [i for i, row in ids.items() if row["kind"] == "gland"]
    boxes = {tuple(ids[i]["bbox"].values()): i for i in gland_ids}
    labels = glands.label_image(image.shape[:2])
    id_of_label = [None] + [boxes[tuple(box)] for box in glands.bbox]
    cells = {(c["column"], c["row"]): c for c in result.tissue.to_pylist()}
    inside = lumina = 0
    for row in ids.values():
        x, y = int(row["x"]), int(row["y"])
        expected = None if row["kind"] == "gland" else id_of_label[labels[y, x]]
        if row["kind"] == "lumen":
            assert row["gland_id"] in gland_ids
            lumina += 1
        else:
            assert row["gland_id"] == expected
        assert row["tissue"] == cells[x // 144, y // 144]["class"]
        inside += expected is not None
    assert min(inside, lumina) > 10


def test_tissue_cells_are_those_of_the_maps(result, model, image):
    assert len(result.tissue) == -(-WIDTH // 144) * -(-HEIGHT // 144)
    expected = model.predictor.maps(image)["tissue.patch"]
    for row in result.tissue.to_pylist():
        if row["column"] < expected.shape[1] and row["row"] < expected.shape[0]:
            probs = expected[row["row"], row["column"]]
            assert row["class"] == CERBERUS.patch.classes[probs.argmax()]
            assert row["prob_muscle"] == pytest.approx(probs[4])
            assert (row["x"], row["y"], row["width"]) == (row["column"] * 144, row["row"] * 144, 144)


def test_complete_result_is_skipped_and_others_are_protected(slide, model, image, tmp_path):
    small = open_slide(image[:200, :300], mpp=0.5)
    folder = tmp_path / "slide"
    first = segment_slide(small, model, folder)
    changed = (folder / "objects.parquet").stat().st_mtime_ns
    assert not first.skipped
    assert segment_slide(small, replace(model, predictor=FailsAfter(None, 0, stop)), folder).skipped
    other = replace(model, sha256="1" * 64)
    with pytest.raises(OutputError, match="--overwrite"):
        segment_slide(small, other, folder)
    assert not segment_slide(small, other, folder, overwrite=True).skipped
    assert (folder / "objects.parquet").stat().st_mtime_ns > changed
    (folder / "tissue.parquet").unlink()
    assert not segment_slide(small, other, folder).skipped


def test_leftovers_of_other_parameters_are_not_taken_up(model, image, tmp_path):
    small = open_slide(image[:200, :1300], mpp=0.5)
    folder = tmp_path / "slide"
    with pytest.raises(RuntimeError, match="power"):
        segment_slide(small, replace(model, predictor=FailsAfter(model.predictor, 1, stop)), folder)
    counting = FailsAfter(model.predictor, None, stop)
    segment_slide(small, replace(model, sha256="1" * 64, predictor=counting), folder)
    assert counting.done == 2


def test_empty_slide_gives_empty_tables(model, tmp_path):
    white = np.full((2600, 2600, 3), 255, np.uint8)
    result = segment_slide(open_slide(white, mpp=0.5), model, tmp_path / "slide")
    assert (len(result.objects), len(result.tissue), result.manifest.windows) == (0, 0, 0)
    assert result.manifest.status is Status.DONE
    assert result.objects.schema.names[:2] == ["object_id", "kind"]
    assert result.manifest.counts["gland"] == {"gland": 0, "surface-epithelium": 0}


@pytest.mark.parametrize(("side", "mpp"), [(10, 0.5), (1, 0.5), (1, 0.2), (7, 1.0)])
def test_tiny_image(model, image, tmp_path, side, mpp):
    result = segment_slide(open_slide(image[:side, :side], mpp=mpp), model, tmp_path / "slide")
    assert result.manifest.status is Status.DONE


def test_coordinates_are_those_of_the_slide(model, image, tmp_path):
    crop = image[300:700, 300:700]
    plain = segment_slide(open_slide(crop, mpp=0.5), model, tmp_path / "plain").objects
    doubled = crop.repeat(2, axis=0).repeat(2, axis=1)
    fine = segment_slide(open_slide(doubled, mpp=0.25), model, tmp_path / "fine").objects
    for column in ("x", "y"):
        np.testing.assert_allclose(np.asarray(fine[column]), 2 * np.asarray(plain[column]), rtol=1e-6)
    assert fine["area_um2"].equals(plain["area_um2"])
    np.testing.assert_array_equal(
        decode_polygons(fine["geometry"]).points, 2 * decode_polygons(plain["geometry"]).points
    )


def test_tasks_without_containers_and_tissue(image, tmp_path):
    spec = TaskSpec("nuclei", (CERBERUS.task("nuclei"),))
    model = RunningModel("stand-in", "0" * 64, spec, StandInPredictor(spec))
    result = segment_slide(open_slide(image[:200, :200], mpp=0.5), model, tmp_path / "slide")
    assert set(result.objects["kind"].to_pylist()) == {"nucleus"}
    assert result.objects["tissue"].null_count == len(result.objects)
    assert len(result.tissue) == 0


@pytest.mark.parametrize("names", [("lumen",), ("nuclei", "lumen"), ("gland",)])
def test_parts_of_the_tasks(image, tmp_path, names):
    """Objects that lie in glands are found anywhere by a network that knows no glands."""
    spec = TaskSpec("cerberus", tuple(CERBERUS.task(name) for name in names))
    model = RunningModel("stand-in", "0" * 64, spec, StandInPredictor(spec))
    part = segment_slide(open_slide(image, mpp=0.5), model, tmp_path / "slide")
    assert set(part.objects["kind"].to_pylist()) == {CERBERUS.task(name).kind for name in names}
    assert ("gland_id" in part.objects.column_names) == ("gland" in names and len(names) > 1)


def test_geoparquet_metadata_and_boxes(result):
    geo = json.loads(pq.read_schema(result.folder / "objects.parquet").metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert (column["encoding"], column["geometry_types"], column["crs"]) == ("WKB", ["Polygon"], None)
    outlines = decode_polygons(result.objects["geometry"])
    for index in (0, len(outlines) // 2, len(outlines) - 1):
        points = outlines.rings(index)[0]
        box = result.objects["bbox"][index].as_py()
        assert [*points.min(axis=0), *points.max(axis=0)] == list(box.values())
    group = pq.ParquetFile(result.folder / "objects.parquet").metadata.row_group(0)
    names = [group.column(i).path_in_schema for i in range(group.num_columns)]
    assert group.column(names.index("bbox.xmin")).statistics is not None
    assert group.column(names.index("geometry")).statistics is None


def test_manifest_tells_what_was_done(result):
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["slide"]["width_px"] == WIDTH
    kinds = {kind: sum(of_kind.values()) for kind, of_kind in manifest["counts"].items()}
    assert sum(kinds.values()) == len(result.objects)
    assert kinds["gland"] == result.objects["kind"].to_pylist().count("gland")
    assert manifest["tissue_area_mm2"] == pytest.approx(WIDTH * HEIGHT * 0.25e-6)
    assert manifest["peak_memory_mb"] > 10
    assert set(manifest["seconds"]) >= {"read", "network", "objects", "tables"}


def test_overview_shows_the_slide_with_its_objects(result, image):
    with PillowImage.open(result.folder / "overview.png") as picture:
        drawn = np.asarray(picture)
    assert drawn.shape[0] == HEIGHT
    assert drawn.shape[1] > WIDTH
    changed = np.any(drawn[:, :WIDTH] != image, axis=2)
    assert 0.02 < changed.mean() <= 1.0


def test_errors_of_the_slide_pass_unchanged(model, image, tmp_path):
    class Broken:
        def __init__(self, slide):
            self.slide = slide

        def __getattr__(self, name):
            return getattr(self.slide, name)

        def read(self, region, mpp):
            if mpp == 0.5:
                raise SlideError("tile 3 cannot be decoded")
            return self.slide.read(region, mpp)

    slide = Broken(open_slide(image[:200, :200], mpp=0.5))
    with pytest.raises(SlideError, match="tile 3"):
        segment_slide(slide, model, tmp_path / "slide")
    assert read_manifest(tmp_path / "slide").error == "tile 3 cannot be decoded"


def test_full_disk_is_one_sentence(model, image, tmp_path):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    small = open_slide(image[:200, :200], mpp=0.5)
    with pytest.raises(OutputError, match=r"disk of .*slide full"):
        segment_slide(small, replace(model, predictor=FailsAfter(None, 0, full)), tmp_path / "slide")


def test_folder_that_cannot_be_made_is_one_sentence(model, image, tmp_path):
    (tmp_path / "file").write_text("in the way")
    small = open_slide(image[:200, :200], mpp=0.5)
    with pytest.raises(OutputError, match="another --out"):
        segment_slide(small, model, tmp_path / "file" / "slide")


def test_progress_counts_up(model, image, tmp_path):
    told = []
    small = open_slide(image[:200, :1300], mpp=0.5)
    segment_slide(small, model, tmp_path / "slide", progress=lambda *report: told.append(report))
    windows = [report for report in told if report[0] == "windows"]
    assert [report[1:3] for report in windows] == [(0, 2), (1, 2), (2, 2)]
    tiles = [report[1:3] for report in told if report[0] == "tiles"]
    assert (tiles[0], tiles[-1]) == ((0, 1), (1, 1))
    objects = [report[1:3] for report in told if report[0] == "objects"]
    assert objects[0] == (0, objects[-1][1])
    assert told[-1][0] == "objects"
    assert told[-1][1] == told[-1][2] > 0
    assert told[-1][3] == pytest.approx(200 * WIDTH * 0.25e-6)
