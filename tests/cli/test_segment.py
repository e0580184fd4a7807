import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from PIL import Image

from histocerb.inference.lease import leased

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


def test_maps_are_kept_when_asked(cli, picture, tmp_path):
    plain, kept = tmp_path / "plain", tmp_path / "kept"
    cli("segment", picture, "--out", plain, "--mpp", 0.5)
    assert cli("segment", picture, "--out", kept, "--mpp", 0.5, "--keep-maps").code == 0
    maps = zarr.open_group(kept / "picture" / "maps.zarr", mode="r")
    assert maps["nuclei.instance"][0].max() > 200
    assert not (plain / "picture" / "maps.zarr").exists()
    for name in ("objects.parquet", "tissue.parquet", "overview.png"):
        assert (plain / "picture" / name).read_bytes() == (kept / "picture" / name).read_bytes()


def test_maps_are_not_kept_in_a_store(cli, picture):
    shown = cli("segment", picture, "--out", "memory://somewhere", "--mpp", 0.5, "--keep-maps")
    assert shown.code == 2
    assert "leave out --keep-maps" in shown.err


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

    monkeypatch.setattr("histocerb.inference.cohort.run.segment_slide", broken)
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


def test_slides_of_the_same_name_are_refused(cli, picture, tmp_path):
    other = tmp_path / "x" / "picture.tif"
    shown = cli("segment", picture, other, "--out", tmp_path / "out", "--mpp", 0.5)
    assert shown.code == 2
    assert "different names" in shown.err
    assert "`name`" in shown.err
    assert not (tmp_path / "out").exists()


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


@pytest.fixture
def cohort(picture, tmp_path):
    """A table of three pictures of different sizes, the middle one damaged."""
    pixels = np.asarray(Image.open(picture))
    (tmp_path / "scans").mkdir()
    for number, name in enumerate(("small", "bad", "large")):
        Image.fromarray(np.tile(pixels, (1, number + 1, 1))).save(tmp_path / "scans" / f"{name}.png")
    bad = tmp_path / "scans" / "bad.png"
    bad.write_bytes(bad.read_bytes()[:1000])
    table = tmp_path / "cohort.csv"
    rows = [
        "slide,mpp,name,patient",
        "scans/small.png,0.5,,P1",
        "scans/bad.png,0.5,,P2",
        "scans/large.png,,big,P3",
    ]
    table.write_text("\n".join(rows) + "\n")
    return table


def test_a_table_with_a_corrupt_slide(cli, cohort, tmp_path):
    out = tmp_path / "out"
    shown = cli("segment", cohort, "--out", out, "--mpp", 0.25, "--quiet")
    assert shown.code == 1
    assert "3 slides: 2 done, 1 failed" in shown.out
    assert "bad: failed: " in shown.out
    for line in (f"failures: {out / 'failures.csv'}", f"summary: {out / 'summary.parquet'}"):
        assert line in shown.out
    begun = [line.split("/")[-1] for line in shown.err.splitlines() if line.endswith(": begins")]
    assert begun[0] == "large.png: begins"
    assert "2 of 3 slides done, 1 failed, 0 left" in shown.err
    rows = pq.read_table(out / "summary.parquet").to_pylist()
    assert [(row["name"], row["mpp"], row["patient"]) for row in rows] == [
        ("big", 0.25, "P3"),
        ("small", 0.5, "P1"),
    ]
    assert [row["nucleus_count"] for row in rows] == [9, 3]
    again = cli("segment", cohort, "--out", out, "--mpp", 0.25)
    assert again.code == 1
    assert "3 slides: 2 done before, 1 failed" in again.out


def test_only_what_failed_is_retried(cli, cohort, picture, tmp_path):
    call = ["segment", cohort, "--out", tmp_path / "out", "--mpp", 0.5, "--retry-failed"]
    first = cli(*call)
    assert (first.code, "nothing to do" in first.out) == (0, True)
    assert cli(*call[:-1]).code == 1
    (tmp_path / "scans" / "bad.png").write_bytes(picture.read_bytes())
    shown = cli(*call)
    assert shown.code == 0
    assert "1 slide: 1 done" in shown.out
    assert not (tmp_path / "out" / "failures.csv").exists()
    assert pq.read_table(tmp_path / "out" / "summary.parquet")["name"].to_pylist() == ["bad", "big", "small"]


def test_shards_together_do_all(cli, cohort, tmp_path):
    out = tmp_path / "out"
    shown = [cli("segment", cohort, "--out", out, "--mpp", 0.5, "--shard", f"{i}/2").out for i in (1, 2)]
    assert sorted(text.split(" slide")[0][-1] for text in shown) == ["1", "2"]
    assert pq.read_table(out / "summary.parquet").num_rows == 2
    assert "bad" in (out / "failures.csv").read_text()


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/-2", ""])
def test_no_such_shard(cli, picture, tmp_path, shard):
    shown = cli("segment", picture, "--out", tmp_path / "out", "--shard", shard)
    assert shown.code == 2
    assert "--shard" in shown.err


def test_folder_without_slides_is_wrong_usage(cli, tmp_path):
    (tmp_path / "notes.txt").touch()
    shown = cli("segment", tmp_path, "--out", tmp_path / "out")
    assert shown.code == 2
    assert "expected slides" in shown.err
    assert len(shown.err.splitlines()) == 1


def test_a_budget_of_memory_is_kept_or_refused(cli, picture, tmp_path):
    call = ["segment", picture, "--out", tmp_path / "out", "--mpp", 0.5, "--memory"]
    shown = cli(*call, "300MB")
    assert shown.code == 2
    assert "expected --memory of at least" in shown.err
    assert "found 0.3GB" in shown.err
    assert "change --memory" in cli(*call, "much").err
    assert cli(*call, "64GB").code == 0


def test_a_slide_in_work_elsewhere_has_a_status_of_its_own(cli, picture, tmp_path):
    with leased(tmp_path / "out" / "picture" / ".work"):
        shown = cli("segment", picture, "--out", tmp_path / "out", "--mpp", 0.5)
    assert shown.code == 3
    assert "picture: left to another process that works on it" in shown.out
    assert cli("segment", picture, "--out", tmp_path / "out", "--mpp", 0.5).code == 0
