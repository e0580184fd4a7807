import json

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import DataError
from histocerb.core.geometry import Region
from histocerb.core.outlines import Outlines
from histocerb.data.sources.features import corners, read_features

SQUARE = [[0, 0], [8, 0], [8, 8], [0, 8], [0, 0]]
HOLE = [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]


def feature(coordinates, kind="Polygon", **properties):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def read(tmp_path, content):
    path = tmp_path / "a.geojson"
    path.write_text(
        "\ufeff" + (content if isinstance(content, str) else json.dumps(content)), encoding="utf-8"
    )
    return read_features(path)


@pytest.mark.parametrize(
    "wrap", [lambda f: {"type": "FeatureCollection", "features": [f]}, lambda f: [f], dict]
)
def test_what_features_come_in(tmp_path, wrap):
    (found,) = read(tmp_path, wrap(feature([SQUARE], classification={"name": "Tumor"})))
    assert found.class_name == "Tumor"
    assert found.rectangle() == Region(0, 0, 8, 8)


def test_names_of_classes(tmp_path):
    found = read(
        tmp_path,
        [
            feature([SQUARE]),
            feature([SQUARE], classification={"names": ["Tumor", "Positive"]}),
            feature([SQUARE], classification="stroma"),
            {"type": "Feature", "geometry": None, "properties": {"objectType": "root"}},
            feature([[[1, 1], [2, 1], [1, 1]]]),  # without area
        ],
    )
    assert [f.class_name for f in found] == ["", "Tumor: Positive", "stroma"]


def test_the_nucleus_of_a_cell_counts(tmp_path):
    cell = feature([SQUARE]) | {"nucleusGeometry": {"type": "Polygon", "coordinates": [HOLE]}}
    assert read(tmp_path, [cell])[0].rectangle() == Region(2, 2, 2, 2)


def test_corners_are_those_of_whole_pixels_around_all_parts(tmp_path):
    triangle = [[-1.5, 0.2], [7.1, 3], [4, 9.9]]
    found = read(tmp_path, [feature([triangle]), feature([[HOLE], [triangle]], "MultiPolygon")])
    assert corners(found).tolist() == [[-2, 0, 8, 10]] * 2
    assert corners([]).shape == (0, 4)


def test_shapes_that_are_no_rectangle(tmp_path):
    triangle = [[0, 0], [8, 0], [0, 8]]
    found = read(
        tmp_path,
        [
            feature([triangle]),
            feature([SQUARE, HOLE]),
            feature([[SQUARE], [HOLE]], "MultiPolygon"),
            feature([[[0.4, 1.6], [9.7, 1.6], [9.7, 4.4], [0.4, 4.4]]]),
        ],
    )
    assert [f.rectangle() for f in found] == [None, None, None, Region(0, 2, 10, 2)]


@settings(max_examples=30, deadline=None)
@given(turn=st.lists(st.booleans(), min_size=3, max_size=3))
def test_rings_are_turned_whatever_way_they_come(tmp_path_factory, turn):
    other = [[x + 20, y] for x, y in SQUARE]
    rings = [ring[::-1] if back else ring for ring, back in zip((SQUARE, HOLE, other), turn, strict=True)]
    content = [feature([[rings[0], rings[1]], [rings[2]]], "MultiPolygon")]
    (found,) = read(tmp_path_factory.mktemp("f"), content)
    outlines = Outlines.from_rings(found.polygons)
    for n, area in enumerate((60, 64)):
        exterior, *holes = outlines.rings(n)
        polygon = shapely.Polygon(exterior, holes)
        assert polygon.area == area
        assert shapely.LinearRing(exterior).is_ccw  # positive signed area
        assert not any(shapely.LinearRing(hole).is_ccw for hole in holes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected GeoJSON of QuPath"),
        ("3", "found other JSON"),
        ("[3]", "found other JSON"),
        ([feature([1, 2], "Point")], "expected polygons, found a Point as feature 0"),
        ([feature([[[0, 0], ["x", 1], [2, 2]]])], "in feature 0"),
        ([feature([[[0, 0], [float("nan"), 1], [2, 2]]])], "no number in feature 0"),
        ([feature([SQUARE]), {"geometry": {"type": "Polygon"}}], "'coordinates' in feature 1"),
    ],
)
def test_files_that_are_wrong(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"a\.geojson: .*{message}"):
        read(tmp_path, content)
    with pytest.raises(DataError, match=r"b\.geojson: expected GeoJSON"):
        read_features(tmp_path / "b.geojson")
