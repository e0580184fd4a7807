import json

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.usefixtures("colour_model")


@pytest.fixture
def folder(cli, picture, tmp_path):
    assert cli("segment", picture, "--out", tmp_path / "out", "--mpp", 0.5).code == 0
    return tmp_path / "out" / "picture"


def test_geojson_beside_the_table(cli, folder):
    shown = cli("export", folder, "--format", "geojson")
    assert shown.code == 0
    features = json.loads((folder / "objects.geojson").read_text())["features"]
    assert f"{len(features)} objects" in shown.out
    types = [feature["properties"]["objectType"] for feature in features]
    assert (types.count("annotation"), types.count("detection")) == (1, 3)


def test_one_kind_to_a_file(cli, folder, tmp_path):
    shown = cli("export", folder, "--format", "geojson", "--kind", "gland", "--out", tmp_path / "glands.json")
    assert shown.code == 0
    (feature,) = json.loads((tmp_path / "glands.json").read_text())["features"]
    xs = [x for x, _ in feature["geometry"]["coordinates"][0]]
    assert (min(xs), max(xs)) == pytest.approx((50, 130), abs=7)


def test_unknown_kind_is_wrong_usage(cli, folder):
    shown = cli("export", folder, "--format", "geojson", "--kind", "cell")
    assert shown.code == 2
    assert "nucleus" in shown.err
    assert not (folder / "objects.geojson").exists()


@pytest.mark.parametrize("name", ["objects.parquet", "tissue.parquet", "manifest.json", "overview.png"])
def test_what_was_found_is_not_overwritten(cli, folder, name):
    before = (folder / name).read_bytes()
    shown = cli("export", folder, "--format", "geoparquet", "--kind", "gland", "--out", folder / "." / name)
    assert shown.code == 2
    assert "choose another --out" in shown.err
    assert (folder / name).read_bytes() == before


def test_not_a_result_folder(cli, tmp_path):
    shown = cli("export", tmp_path, "--format", "geojson")
    assert shown.code == 1
    assert "histocerb segment" in shown.err


def test_geoparquet_with_simpler_outlines(cli, folder, tmp_path):
    full, simple = tmp_path / "full.geoparquet", tmp_path / "simple.geoparquet"
    command = ("export", folder, "--format", "geoparquet", "--out")
    assert cli(*command, full).code == 0
    assert cli(*command, simple, "--simplify", 2).code == 0
    rows = pq.read_table(full)
    assert rows.equals(pq.read_table(folder / "objects.parquet"))
    sizes = [sum(map(len, pq.read_table(path).column("geometry").to_pylist())) for path in (full, simple)]
    assert sizes[1] < sizes[0]


def test_negative_tolerance_is_wrong_usage(cli, folder):
    assert cli("export", folder, "--format", "geojson", "--simplify", -1).code == 2
