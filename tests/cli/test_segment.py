import json

import pyarrow.parquet as pq
import pytest

from histocerb.cli.segment import result_folders
from histocerb.core.errors import UsageError

pytestmark = pytest.mark.usefixtures("colour_model")


def test_a_picture_gives_a_complete_folder(cli, picture, tmp_path):
    out = tmp_path / "out"
    shown = cli("segment", picture, "--out", out, "--mpp", 0.5)
    assert shown.code == 0
    assert sorted(p.name for p in (out / "picture").iterdir()) == [
        "manifest.json",
        "objects.parquet",
        "overview.png",
        "tissue.parquet",
    ]
    objects = pq.read_table(out / "picture" / "objects.parquet")
    kinds = objects["kind"].to_pylist()
    assert (kinds.count("nucleus"), kinds.count("gland")) == (3, 1)
    assert "overview.png" in shown.out
    header, row = (line.split() for line in shown.out.splitlines()[:2])
    assert dict(zip(header, row, strict=False))["nucleus"] == "3"
    assert json.loads((out / "run.json").read_text())["configuration"]["mpp"] == 0.5


def test_one_bad_slide_does_not_stop_the_others(cli, picture, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    shown = cli("segment", bad, picture, tmp_path / "none.svs", "--out", tmp_path / "out", "--mpp", 0.5)
    assert shown.code == 1
    assert (tmp_path / "out" / "picture" / "objects.parquet").exists()
    failures = [line for line in shown.out.splitlines() if "failed:" in line]
    assert [line.split(":")[0] for line in failures] == ["bad", "none"]
    assert "Traceback" not in shown.err


def test_missing_resolution_says_mpp(cli, picture, tmp_path):
    shown = cli("segment", picture, "--out", tmp_path / "out")
    assert shown.code == 1
    assert "--mpp" in shown.out


def test_unexpected_failure_of_a_slide_is_its_outcome(cli, picture, tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("histocerb.inference.slide.segment_slide", broken)
    shown = cli("segment", picture, "--out", tmp_path / "out", "--mpp", 0.5)
    assert shown.code == 1
    assert "picture: failed: unexpected ZeroDivisionError: by nought" in shown.out


def test_second_run_keeps_and_overwrite_replaces(cli, picture, tmp_path):
    call = ["segment", picture, "--out", tmp_path / "out", "--mpp", 0.5]
    cli(*call)
    objects = tmp_path / "out" / "picture" / "objects.parquet"
    content, written = objects.read_bytes(), objects.stat().st_mtime_ns
    assert "done before" in cli(*call).out
    assert objects.stat().st_mtime_ns == written
    assert "done before" not in cli(*call, "--overwrite").out
    assert objects.stat().st_mtime_ns > written
    assert objects.read_bytes() == content


def test_slides_of_the_same_name_are_refused(tmp_path):
    assert result_folders([tmp_path / "a.svs", tmp_path / "b.svs"], tmp_path) == [
        tmp_path / "a",
        tmp_path / "b",
    ]
    with pytest.raises(UsageError, match="different names"):
        result_folders([tmp_path / "a.svs", tmp_path / "x" / "a.tif"], tmp_path)


def test_config_is_used_and_checked(cli, picture, tmp_path):
    config = tmp_path / "work.toml"
    call = ["segment", picture, "--out", tmp_path / "out", "--mpp", 0.5, "--config", config]
    config.write_text("readers = 1\ntile_windows = 1\n")
    assert cli(*call).code == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text())["configuration"]["work"]["readers"] == 1
    config.write_text("reeders = 1\n")
    shown = cli(*call)
    assert shown.code == 2
    assert "'readers'" in shown.err
    config.write_text('readers = "two"\n')
    assert cli(*call).code == 2


def test_output_that_cannot_be_a_folder(cli, picture, tmp_path):
    (tmp_path / "file").touch()
    shown = cli("segment", picture, "--out", tmp_path / "file", "--mpp", 0.5)
    assert shown.code == 1
    assert len(shown.err.splitlines()) == 1
