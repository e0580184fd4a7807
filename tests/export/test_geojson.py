import json
import uuid

import numpy as np
import pytest
import shapely
import shapely.affinity

from histocerb.core.colours import colour
from histocerb.core.errors import OutputError
from histocerb.core.qupath import NAMESPACE
from histocerb.core.tasks import CERBERUS
from histocerb.export.geojson import annotation_kinds, write_geojson

ANNOTATIONS = ("gland", "lumen")


def written(table, path, batch_rows=2):
    count = write_geojson(iter(table.to_batches(batch_rows)), path, ANNOTATIONS)
    collection = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert collection["type"] == "FeatureCollection"
    assert count == len(collection["features"])
    return collection["features"]


def test_polygons_come_back(table, polygons, tmp_path):
    found = [shapely.geometry.shape(f["geometry"]) for f in written(table, tmp_path / "o.geojson")]
    assert all(polygon.is_valid for polygon in found)
    assert all(shapely.equals_exact(found, polygons, 0.0005))
    exact = [0, 1, 2, 4]
    assert all(shapely.equals_exact(np.array(found)[exact], np.array(polygons)[exact]))


def test_coordinates_begin_where_qupath_does(table, polygons, tmp_path):
    write_geojson(iter(table.to_batches()), tmp_path / "o.geojson", ANNOTATIONS, (700, 600))
    rows = json.loads((tmp_path / "o.geojson").read_text())["features"]
    found = [shapely.affinity.translate(shapely.geometry.shape(f["geometry"]), 700, 600) for f in rows]
    assert all(shapely.equals_exact(found, polygons, 0.0005))


def test_rings_are_closed_and_holes_are_rings(table, tmp_path):
    for index, feature in enumerate(written(table, tmp_path / "o.geojson")):
        rings = feature["geometry"]["coordinates"]
        assert len(rings) == 1 + index % 2
        assert all(len(ring) == 5 and ring[0] == ring[-1] for ring in rings)


def test_properties_are_those_of_qupath(table, tmp_path):
    properties = [f["properties"] for f in written(table, tmp_path / "o.geojson")]
    assert [p["objectType"] for p in properties] == ["annotation"] * 2 + ["detection"] * 3
    names = ["gland", "lumen", "plasma", "lymphocyte", "nucleus"]
    assert [p["classification"] for p in properties] == [
        {"name": name, "color": list(colour(name))} for name in names
    ]
    assert not any(p["isLocked"] for p in properties)


def test_measurements_are_numbers_and_leave_out_what_is_unknown(table, tmp_path):
    measurements = [f["properties"]["measurements"] for f in written(table, tmp_path / "o.geojson")]
    assert [list(m) for m in measurements] == [
        ["Area µm^2", "Class probability", "Score"],
        ["Area µm^2", "Score"],
        ["Area µm^2", "Class probability", "Score"],
        ["Area µm^2", "Class probability", "Score"],
        ["Area µm^2"],
    ]
    assert [m["Area µm^2"] for m in measurements] == [16, 15, 1e7, 0.5, 16]
    assert measurements[3]["Score"] == pytest.approx(1e-7)


def test_ids_are_stable_uuids(table, tmp_path):
    ids = [f["id"] for f in written(table, tmp_path / "o.geojson")]
    assert ids == [str(uuid.uuid5(NAMESPACE, str(i))) for i in table.column("object_id").to_pylist()]


def test_one_feature_per_line_whatever_the_batches(table, tmp_path):
    for rows in (1, 3, 99):
        written(table, tmp_path / f"{rows}.geojson", rows)
    texts = {(tmp_path / f"{rows}.geojson").read_bytes() for rows in (1, 3, 99)}
    assert len(texts) == 1
    lines = texts.pop().decode().splitlines()
    assert [json.loads(line.removesuffix(","))["type"] for line in lines[1:-1]] == ["Feature"] * len(table)


def test_no_objects(table, tmp_path):
    assert written(table[:0], tmp_path / "o.geojson") == []
    assert write_geojson(iter([]), tmp_path / "p.geojson", ANNOTATIONS) == 0
    assert json.loads((tmp_path / "p.geojson").read_text())["features"] == []


def test_failure_in_the_middle_keeps_the_old_file(table, tmp_path):
    path = tmp_path / "o.geojson"
    path.write_text("old")

    def batches():
        yield table.to_batches()[0]
        raise OutputError("broken")

    with pytest.raises(OutputError, match="broken"):
        write_geojson(batches(), path, ANNOTATIONS)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_unwritable_place_is_one_sentence(folder, table, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --out"):
        write_geojson(iter(table.to_batches()), tmp_path / folder / "o.geojson", ANNOTATIONS)


def test_annotation_kinds_of_the_paper():
    assert annotation_kinds(CERBERUS) == {"gland", "lumen"}
