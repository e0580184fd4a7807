"""Slides and results in stores: the same bytes, what is done is skipped, what is begun is gone on with."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from histocerb.cli.main import main
from histocerb.core.errors import OutputError, UsageError
from histocerb.inference.cluster import cohort, publish
from histocerb.inference.cluster.cohort import Where
from histocerb.inference.cluster.pieces import pieces_folder
from histocerb.inference.cluster.publish import stored_manifest
from histocerb.inference.cluster.results import results_at, seen_at
from histocerb.inference.cluster.source import ask_source, remember_source, unchanged
from histocerb.inference.cluster.store import Store
from histocerb.inference.cohort.failures import read_failures
from histocerb.inference.cohort.run import Unwatched
from histocerb.inference.cohort.slides import CohortSlide
from histocerb.inference.cohort.status import slide_states
from histocerb.inference.pipeline import WorkSettings
from histocerb.slides.reader import open_slide
from histocerb.slides.remote import RemoteFile, file_system
from histocerb.slides.staging import Cache


@pytest.fixture
def where(memory, tmp_path):
    return Where(memory / "results", Cache(tmp_path / "cache"))


def names(place):
    return sorted(Store(place).files())


def test_slides_and_results_in_a_store(scans, where, memory, segment, put, assert_same):
    slides = put(scans, memory / "slides")
    outcomes = segment([slides], where)
    assert [(o.slide.name, o.failed, o.result.skipped) for o in outcomes] == [
        ("b", False, False),
        ("c", False, False),
        ("a", False, False),
    ]
    assert_same(where.out)
    assert [name for name in names(where.out) if "b/" in name or "/" not in name] == [
        "b/manifest.json",
        "b/objects.parquet",
        "b/overview.png",
        "b/source.json",
        "b/tissue.parquet",
        "run.json",
        "summary.parquet",
    ]
    again = segment([slides / "*.png"], where)
    assert all(outcome.result.skipped for outcome in again)


def test_what_is_done_is_skipped_without_a_copy(scans, where, memory, segment, put, tmp_path):
    slides = put(scans, memory / "slides")
    segment([slides / "a.png"], where)
    other = replace(where, cache=Cache(tmp_path / "other"))
    (outcome,) = segment([slides / "a.png"], other)
    assert outcome.result.skipped
    assert not (tmp_path / "other").exists()
    put(scans, slides)  # other version, same content
    (outcome,) = segment([slides / "a.png"], other)
    assert outcome.result.skipped
    assert (tmp_path / "other").exists()


def test_a_slide_that_is_replaced_while_it_is_segmented_is_looked_at_again(
    scans, where, memory, segment, put
):
    slides = put(scans, memory / "slides")
    fs, path = file_system(slides.url)

    class Replaces(Unwatched):
        def begin(self, slide):
            return self.tell

        def tell(self, stage, done, total, mm2):
            fs.pipe_file(f"{path}/a.png", (scans / "c.png").read_bytes())

    (outcome,) = segment([slides / "a.png"], where, watch=Replaces())
    assert not outcome.failed
    (outcome,) = segment([slides / "a.png"], where)
    assert outcome.other_result  # of what was there before


def test_files_beside_a_slide_are_looked_at(scans, where, memory, segment, model):
    segment([scans / "a.png"], where)
    folder, slides = Store(where.out / "a"), Store(memory / "slides")
    slides.write("a.mrxs", b"index")
    slides.write("a/Data0000.dat", b"cut off")
    manifest = stored_manifest(folder)
    slide = CohortSlide(slides.root / "a.mrxs", "a", 0.5)
    remember_source(ask_source(slide), folder)
    assert unchanged(slide, model, folder) == manifest
    slides.write("a/Data0000.dat", b"whole now")
    assert unchanged(slide, model, folder) is None


@pytest.mark.parametrize(("local", "on_disk"), [(True, False), (False, False), (False, True)])
def test_pieces_that_a_killed_process_left_of_a_slide_that_is_done_go(
    scans, where, memory, segment, put, tmp_path, local, on_disk
):
    slides = scans if local else put(scans, memory / "slides")
    where = replace(where, out=tmp_path / "out") if on_disk else where
    (outcome,) = segment([slides / "a.png"], where)
    url = RemoteFile(f"file://{where.out}") if on_disk else where.out
    others = ".pieces-0123456789abcdef"  # of another key: somebody may be at work on it
    for folder in (pieces_folder(outcome.result.manifest.key), others):
        Store(url / "a").write(f"{folder}/shard.tar", b"0")
    (outcome,) = segment([slides / "a.png"], where)
    assert outcome.result.skipped
    assert [name for name in names(url) if ".pieces" in name] == [f"a/{others}/shard.tar"]


@pytest.mark.parametrize("name", ["a b", "Schnitt ä", "a#1", "a%20b", "a[1]"])
def test_a_folder_on_a_disk_has_one_name(scans, memory, segment, put, tmp_path, name):
    slides = put(scans, memory / "slides")
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide,name\n{slides}/a.png,{name}\n", encoding="utf-8")
    for number, skipped in (("1", False), ("2", True)):
        (outcome,) = segment([table], Where(tmp_path / name, Cache(tmp_path / number)))
        assert outcome.result.skipped is skipped
    assert {path.name for path in tmp_path.iterdir()} == {"cohort.csv", name, "1"}  # no second copy
    assert (tmp_path / name / name / "source.json").exists()


def test_local_slides_and_what_is_carried_along(scans, where, segment, assert_same, tmp_path, get):
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide,patient\n{scans}/a.png,P1\n{scans}/c.png,P2\n")
    segment([table], where)
    assert_same(where.out, ("a", "c"))
    assert json.loads(get(where.out / "a" / "columns.json")) == {"patient": "P1"}
    summary = pq.read_table(io.BytesIO(get(where.out / "summary.parquet")))
    assert summary["patient"].to_pylist() == ["P1", "P2"]


def test_failures_are_kept_and_tried_again(scans, where, memory, segment, put, assert_same):
    slides = put(scans, memory / "slides")
    fs, path = file_system(slides.url)
    content = fs.cat_file(f"{path}/c.png")
    fs.pipe_file(f"{path}/c.png", b"not an image")
    outcomes = {outcome.slide.name: outcome for outcome in segment([slides], where)}
    assert [name for name, outcome in outcomes.items() if outcome.failed] == ["c"]
    assert f"{slides}/c.png" in outcomes["c"].reason
    assert "histocerb-slides" not in outcomes["c"].reason
    assert {"failures.csv", ".failed.c.json"} < set(names(where.out))
    fs.pipe_file(f"{path}/c.png", content)
    (outcome,) = segment([slides], where, retry_failed=True)
    assert (outcome.slide.name, outcome.failed) == ("c", False)
    assert not {"failures.csv", ".failed.c.json"} & set(names(where.out))
    assert_same(where.out)


@pytest.mark.parametrize("name", ["summary.parquet", ".failed.c.json"])
def test_a_store_that_refuses_a_write_once_stops_nothing(
    scans, where, memory, segment, put, get, monkeypatch, caplog, name
):
    slides = put(scans, memory / "slides")
    fs, path = file_system(slides.url)
    fs.pipe_file(f"{path}/c.png", b"not an image")
    real, refused = Store.write, [name]

    def write(store, name, content):
        if name in refused:
            refused.remove(name)
            raise OutputError("busy")
        real(store, name, content)

    monkeypatch.setattr(Store, "write", write)
    outcomes = segment([slides], where)
    assert {outcome.slide.name: outcome.failed for outcome in outcomes} == {"a": False, "b": False, "c": True}
    assert not refused
    assert "could not be sent yet: busy" in caplog.text
    summary = pq.read_table(io.BytesIO(get(where.out / "summary.parquet")))
    assert summary["name"].to_pylist() == ["a", "b"]
    assert b"no reader knows" in get(where.out / "failures.csv")
    assert ".failed.c.json" in names(where.out)


def test_another_model_is_refused_and_overwrite_replaces(scans, where, segment, assert_same):
    segment([scans / "a.png"], where)
    fs, path = file_system(where.out.url)
    manifest = json.loads(fs.cat_file(f"{path}/a/manifest.json"))
    fs.pipe_file(f"{path}/a/manifest.json", json.dumps({**manifest, "key": "other"}).encode())
    (outcome,) = segment([scans / "a.png"], where)
    assert "--overwrite" in outcome.reason
    (outcome,) = segment([scans / "a.png"], where, overwrite=True)
    assert not outcome.failed
    assert_same(where.out, "a")


@pytest.mark.parametrize("file", ["objects.parquet", "tissue.parquet", "overview.png"])
def test_a_result_that_was_damaged_is_made_again(scans, where, segment, assert_same, file):
    segment([scans / "a.png"], where)
    fs, path = file_system(where.out.url)
    fs.pipe_file(f"{path}/a/{file}", b"short")
    (outcome,) = segment([scans / "a.png"], where)
    assert not outcome.result.skipped
    assert_same(where.out, "a")


class LostError(RuntimeError):
    """Raised on purpose."""


def failing_after(windows, model):
    """A model that fails at a window."""

    class Failing:
        device = "stand-in"
        count = 0

        def predict(self, image, margin_px):
            if self.count == windows:
                raise LostError("on purpose")
            self.count += 1
            return model.predictor.predict(image, margin_px)

    return replace(model, predictor=Failing())


def counting(model):
    return failing_after(-1, model)


@pytest.mark.parametrize("windows", [1, 4])
def test_windows_that_are_done_are_taken_up_on_another_machine(
    scans, where, model, assert_same, tmp_path, windows
):
    folder = Store(where.out / "b")
    slide = open_slide(scans / "b.png", mpp=0.5)
    how = publish.HowToWork(publish.WorkSettings())
    with pytest.raises(LostError):
        publish.segment_into_store(slide, failing_after(windows, model), folder, how)
    assert json.loads(folder.read("manifest.json"))["status"] == "failed"
    assert [name for name in folder.files() if name.startswith(".pieces-")]
    assert not [name for name in folder.files() if name.startswith(".work")]
    second = counting(model)
    publish.segment_into_store(slide, second, folder, how)
    assert second.predictor.count == 6 - windows
    assert_same(where.out, "b")
    assert not [name for name in folder.files() if name.startswith(".")]


def test_damaged_pieces_are_computed_again(scans, where, model, assert_same):
    folder = Store(where.out / "b")
    slide = open_slide(scans / "b.png", mpp=0.5)
    how = publish.HowToWork(publish.WorkSettings())
    with pytest.raises(LostError):
        publish.segment_into_store(slide, failing_after(3, model), folder, how)
    (piece,) = [name for name in folder.files() if name.startswith(".pieces-")]
    content = folder.read(piece)
    for damaged in (
        content[: len(content) // 2],
        content[:700] + bytes(3000) + content[3700:],
        b"",
        b"no tar",
    ):
        folder.write(piece, damaged)
        second = counting(model)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publish.pieces, "discard", lambda *_, **__: None)
            publish.segment_into_store(slide, second, folder, publish.HowToWork(publish.WorkSettings(), True))
        assert 3 < second.predictor.count <= 6
        assert_same(where.out, "b")


def test_status_of_a_store(scans, where, memory, segment, put):
    with pytest.raises(UsageError, match=r"memory://.*expected results, found none"), seen_at(where.out):
        pytest.fail("seen")
    slides = put(scans, memory / "slides")
    fs, path = file_system(slides.url)
    fs.pipe_file(f"{path}/c.png", b"not an image")
    segment([slides], where)
    with seen_at(where.out) as seen:
        states = {slide.name: str(slide.state) for slide in slide_states(seen)}
        assert read_failures(seen).keys() == {"c"}
    assert states == {"a": "done", "b": "done", "c": "failed"}


def test_status_of_a_store_with_a_damaged_manifest(scans, where, segment, capsys):
    segment([scans], where)
    Store(where.out / "b").write("manifest.json", b"")
    assert main(["status", where.out.url]) == 0
    shown = capsys.readouterr().out
    assert "2 done, 1 failed" in shown
    assert f"found something else in {where.out}/b/manifest.json" in shown


def test_what_a_slide_costs_does_not_grow_with_the_others(scans, where, segment, model, monkeypatch):
    (outcome,) = segment([scans / "a.png"], where)
    read_bytes, read = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    counts = []
    for others in (1, 30):
        for number in range(others):
            Store(where.out / f"{others}-{number}").write("columns.json", b"{}")
        with results_at(where.out) as results:
            read.clear()
            results.keep(outcome, model.spec)
            counts.append(len(read))
    assert counts[0] == counts[1]


def test_nodes_are_given_a_cache_by_its_whole_path():
    where = Where(Path("out"), Cache(Path("cache")))
    job = cohort._job(CohortSlide(Path("a.svs"), "a"), None, where, WorkSettings(), False)
    assert job.cache.folder == Path("cache").absolute()


def test_a_slide_that_runs_is_shown_and_left_alone(scans, where, model, segment):
    told = []

    class Watch:
        def begin(self, slide):
            return self.tell

        def tell(self, stage, done, total, mm2):
            if not told:
                with seen_at(where.out) as seen:
                    told.extend((slide.name, str(slide.state)) for slide in slide_states(seen))
                (other,) = segment([scans / "a.png"], where)
                told.append((other.in_work, other.reason))

        def end(self, outcome):
            assert not outcome.failed

    segment([scans / "a.png"], where, watch=Watch())
    assert told[0] == ("a", "running")
    assert told[1][0]
    assert "in work elsewhere" in told[1][1]


def test_a_result_in_a_store_is_not_read_from_here(scans, where, segment):
    (outcome,) = segment([scans / "a.png"], where)
    with pytest.raises(OutputError, match=r"memory://.*copy it first"):
        _ = outcome.result.objects


def test_s3(scans, s3, segment, put, assert_same, tmp_path, capsys):
    slides = put(scans, RemoteFile(f"{s3}/slides"))
    where = Where(RemoteFile(f"{s3}/results"), Cache(tmp_path / "cache"))
    assert not any(outcome.failed for outcome in segment([slides], where))
    assert_same(where.out)
    assert all(outcome.result.skipped for outcome in segment([slides], where))
    assert [name for name in names(where.out) if name.rpartition("/")[2].startswith(".")] == []
    assert main(["status", where.out.url]) == 0
    shown = capsys.readouterr().out
    assert "3 slides: 3 done" in shown
    assert f"summary: {where.out}/summary.parquet" in shown
