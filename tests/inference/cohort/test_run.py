from __future__ import annotations

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from histocerb.core.errors import InWorkError, OutputError, UsageError
from histocerb.inference.cohort import run
from histocerb.inference.cohort.failures import read_failures
from histocerb.inference.cohort.plan import Request, Shard, make_plan
from histocerb.inference.manifest import read_manifest

TIMINGS = ("seconds_", "peak_memory_mb")


def summary(out):
    return pq.read_table(out / "summary.parquet")


def untimed(out):
    table = summary(out)
    return table.select([name for name in table.column_names if not name.startswith(TIMINGS)])


def failures(out):
    with (out / "failures.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def spoil(scans, name="c"):
    (scans / f"{name}.png").write_bytes(b"not an image")


def test_one_bad_slide_is_a_failure_and_the_others_finish(scans, segment, tmp_path):
    spoil(scans)
    outcomes = {outcome.slide.name: outcome for outcome in segment(scans)}
    assert [name for name, outcome in outcomes.items() if outcome.failed] == ["c"]
    (row,) = failures(tmp_path / "out")
    assert (row["slide"], row["name"]) == (str(scans / "c.png"), "c")
    assert row["reason"] == outcomes["c"].reason
    assert "no reader knows" in row["reason"]
    assert summary(tmp_path / "out")["name"].to_pylist() == ["a", "b"]


def test_only_what_failed_is_tried_again(scans, segment, tmp_path):
    content = (scans / "c.png").read_bytes()
    spoil(scans)
    segment(scans)
    assert [o.failed for o in segment(scans, retry_failed=True)] == [True]
    (scans / "c.png").write_bytes(content)
    (outcome,) = segment(scans, retry_failed=True)
    assert (outcome.slide.name, outcome.failed) == ("c", False)
    assert not (tmp_path / "out" / "failures.csv").exists()
    assert not list((tmp_path / "out").glob(".failed*"))
    assert summary(tmp_path / "out").num_rows == 3
    assert segment(scans, retry_failed=True) == []


def test_table_of_failures_goes_on_at_the_same_scale_with_the_same_columns(scans, table, segment, tmp_path):
    content = (scans / "b.png").read_bytes()
    spoil(scans, "b")
    segment(table)
    (scans / "b.png").write_bytes(content)
    (outcome,) = segment(tmp_path / "out" / "failures.csv", mpp=None)
    assert (outcome.slide.name, outcome.failed, outcome.slide.mpp) == ("b", False, 0.25)
    (row,) = [row for row in summary(tmp_path / "out").to_pylist() if row["name"] == "b"]
    assert (row["mpp"], row["grade"], row["patient"]) == (0.25, None, "P1")
    assert "reason" not in row
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_slides_that_cannot_be_reached_keep_their_results_and_rows(scans, table, segment, tmp_path):
    segment(table)
    first = summary(tmp_path / "out")
    scans.rename(tmp_path / "away")
    assert all(outcome.failed for outcome in segment(table))
    assert summary(tmp_path / "out").equals(first)
    assert [row["name"] for row in failures(tmp_path / "out")] == ["a", "b", "c"]


def test_shards_are_one_whole_run(table, scans, segment, tmp_path):
    spoil(scans)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    segment(table, out=whole)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(segment, table, out=parts, shard=Shard(n, 2)) for n in (1, 2)]
        done = [{outcome.slide.name for outcome in call.result()} for call in calls]
    assert done[0] | done[1] == {"a", "b", "c"}
    assert not done[0] & done[1]
    for one, other in zip(untimed(whole).to_batches(), untimed(parts).to_batches(), strict=True):
        assert one.schema.equals(other.schema)
        assert one.equals(other)
    assert failures(parts) == failures(whole)
    for name in ("a", "b"):
        objects = [(out / name / "objects.parquet").read_bytes() for out in (whole, parts)]
        assert objects[0] == objects[1]
    cohorts = [json.loads((out / "run.json").read_text())["configuration"] for out in (whole, parts)]
    assert cohorts[0] == cohorts[1]
    assert [slide["name"] for slide in cohorts[0]["cohort"]] == ["b", "a", "c"]


def test_a_run_with_nothing_to_do_mends_the_summary(table, segment, tmp_path):
    segment(table)
    first = summary(tmp_path / "out")
    (tmp_path / "out" / "summary.parquet").write_bytes(b"cut off")
    assert all(outcome.result.skipped for outcome in segment(table))
    assert summary(tmp_path / "out").equals(first)


def test_earlier_calls_stay_in_the_summary_and_new_columns_come_in(table, scans, segment, tmp_path):
    segment(scans / "a.png")
    segment(scans / "b.png", mpp=0.25)
    assert summary(tmp_path / "out")["name"].to_pylist() == ["a", "b"]
    assert "grade" not in summary(tmp_path / "out").column_names
    segment(table)
    segment(scans / "a.png")
    assert summary(tmp_path / "out").select(["name", "grade", "patient"]).to_pylist()[:2] == [
        {"name": "a", "grade": "1", "patient": "P1"},
        {"name": "b", "grade": None, "patient": "P1"},
    ]


def test_a_slide_in_work_elsewhere_has_not_failed(scans, segment, tmp_path, monkeypatch):
    real = run.segment_slide

    def held(slide, model, folder, *args, **options):
        if folder.name == "b":
            raise InWorkError("in work elsewhere")
        return real(slide, model, folder, *args, **options)

    monkeypatch.setattr(run, "segment_slide", held)
    first, *_ = segment(scans)
    assert (first.slide.name, first.in_work, first.failed) == ("b", True, False)
    assert not (tmp_path / "out" / "failures.csv").exists()
    assert summary(tmp_path / "out").num_rows == 2


def test_result_of_another_model_is_a_failure_and_no_row(scans, segment, model, tmp_path):
    segment(scans / "a.png")
    (outcome,) = segment(scans / "a.png", model=replace(model, sha256="1" * 64))
    assert "--overwrite" in outcome.reason
    assert summary(tmp_path / "out").num_rows == 0
    (outcome,) = segment(scans / "a.png", model=replace(model, sha256="1" * 64), overwrite=True)
    assert not outcome.failed
    assert summary(tmp_path / "out")["model_sha256"].to_pylist() == ["1" * 64]


@pytest.mark.parametrize("name", ["tissue_mm2", "reason"])
def test_column_called_like_one_of_the_tables_over_all_is_refused(table, segment, tmp_path, name):
    table.write_text(table.read_text().replace("grade", name))
    with pytest.raises(UsageError, match=f"`{name}`"):
        segment(table)
    assert not (tmp_path / "out").exists()


def test_out_that_cannot_be_a_folder(scans, segment, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        segment(scans, out=tmp_path / "file")


def test_watch_is_told_of_every_slide(scans, model, tmp_path):
    spoil(scans)
    told = []

    class Watch:
        def begin(self, slide):
            told.append(("begin", slide.name))
            return lambda stage, done, total, mm2: told.append((str(stage), slide.name))

        def end(self, outcome):
            told.append(("end", outcome.slide.name))

    plan = make_plan(Request((scans,), 0.5), tmp_path / "out")
    run.segment_cohort(plan, model, tmp_path / "out", watch=Watch())
    for name in "bca":
        mine = [what for what, of in told if of == name]
        assert (mine[0], mine[-1], "windows" in mine) == ("begin", "end", name != "c")


def test_resolution_per_slide(table, segment, tmp_path):
    segment(table)
    assert summary(tmp_path / "out")["mpp"].to_pylist() == [0.5, 0.25, 0.5]
    assert read_manifest(tmp_path / "out" / "b").parameters["working_mpp"] == 0.5


@pytest.fixture
def killed(monkeypatch):
    """Does something in a process that is killed before its end."""

    def end(out, model):
        raise KeyboardInterrupt

    def call(work, every_s):
        monkeypatch.setattr(run, "end_cohort", end)
        monkeypatch.setattr(run, "_TABLES_EVERY_S", every_s)
        with pytest.raises(KeyboardInterrupt):
            work()

    return call


def test_a_process_that_is_killed_leaves_a_summary_of_what_is_done(scans, segment, tmp_path, killed):
    killed(lambda: segment(scans), 0.0)
    assert summary(tmp_path / "out").num_rows == 3


def test_a_process_that_is_killed_leaves_failures(scans, segment, tmp_path, killed):
    out = tmp_path / "out"
    spoil(scans, "a")
    spoil(scans, "c")
    killed(lambda: segment(scans), 1e9)
    assert not (out / "failures.csv").exists()  # written with the first slide, then not for each one
    assert list(read_failures(out)) == ["a", "c"]
    killed(lambda: segment(scans), 0.0)
    assert [row["name"] for row in failures(out)] == ["a", "c"]
