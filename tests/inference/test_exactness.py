"""The same bytes however the work is laid out, interrupted, damaged and taken up: methods, section 3."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hard_slide import (
    COLUMNS,
    INSIDE,
    RIM,
    ROWS,
    WINDOW_PX,
    Clockwork,
    Writes,
    damage_newest,
    draw,
    no_room,
    results,
    small_windows,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from histocerb.core.errors import InWorkError, OutputError
from histocerb.core.tasks import CERBERUS
from histocerb.core.wkb import decode_polygons
from histocerb.inference.canvas import Canvas, DamagedMapsError
from histocerb.inference.found import ObjectFinder
from histocerb.inference.manifest import Status, read_manifest
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.process import this_machine
from histocerb.inference.slide import segment_slide
from histocerb.inference.spill import morton
from histocerb.postproc import postprocess
from histocerb.slides.reader import open_slide

SEED = 3
WINDOWS = COLUMNS * ROWS
WRITES = 320
"""At least as many as a run of the hard slide makes."""


@pytest.fixture(scope="module", autouse=True)
def _small_windows():
    with small_windows():
        yield


@pytest.fixture(scope="module")
def image():
    return draw(SEED)


@pytest.fixture(scope="module")
def slide(image):
    return open_slide(image, mpp=0.5)


@pytest.fixture(scope="module")
def undisturbed(slide, tmp_path_factory):
    """A run on its own, and the number of its writes."""
    folder = tmp_path_factory.mktemp("plain") / "slide"
    with Writes(folder, None, no_room) as writes:
        result = segment_slide(slide, Clockwork().model(), folder)
    assert result.manifest.windows == WINDOWS
    assert 7 * WINDOWS < writes.count <= WRITES
    return result, writes.count


@pytest.fixture(scope="module")
def plain(undisturbed):
    return undisturbed[0]


def assert_equals_whole(result, image, window_px):
    """Rows, order and ids are those of the maps of the whole slide, post-processed at once."""
    maps = Clockwork()._predictor.maps(image)
    for head in CERBERUS.heads:
        if head.kind == "instance":
            background = 255 - maps[head.name].max(axis=2, keepdims=True)
            maps[head.name] = np.concatenate([background, maps[head.name]], axis=2)
    first_id = 1
    for task, table in zip(CERBERUS.objects, postprocess(maps, CERBERUS).values(), strict=True):
        rows = result.objects.filter([name == task.kind for name in result.objects["kind"].to_pylist()])
        cut = (table.bbox[:, 0] < window_px) & (table.bbox[:, 2] > window_px)
        assert cut.any(), "none across windows"
        cells = table.first_px[:, ::-1] // window_px
        order = [
            (morton(*cell), *first)
            for cell, first in zip(cells.tolist(), table.first_px.tolist(), strict=True)
        ]
        table = table.select(np.array(sorted(range(len(table)), key=order.__getitem__)))
        assert rows["object_id"].to_pylist() == list(range(first_id, first_id + len(table)))
        first_id += len(table)
        outlines = decode_polygons(rows["geometry"])
        np.testing.assert_array_equal(outlines.points, table.outlines.points)
        np.testing.assert_array_equal(outlines.ring_offsets, table.outlines.ring_offsets)
        np.testing.assert_array_equal(np.asarray(rows["score"]), table.score)
        assert rows["class"].to_pylist() == table.class_names()
        np.testing.assert_allclose(np.asarray(rows["area_um2"]), table.area_px * 0.25, rtol=1e-6)
    assert first_id == len(result.objects) + 1


def test_equals_post_processing_of_the_whole_maps(plain, image):
    assert_equals_whole(plain, image, WINDOW_PX)
    boxes = [row["bbox"] for row in plain.objects.to_pylist()]
    assert max(box["xmax"] - box["xmin"] for box in boxes) > 2 * WINDOW_PX


def test_windows_of_full_size_equal_it_too(make_image, model, tmp_path):
    image = make_image(1111, 1213, 5)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("core.geometry", "inference.spill"):
            patch.setattr(f"histocerb.{module}.WINDOW_OUTPUT_PX", 1008)
        result = segment_slide(open_slide(image, mpp=0.5), model, tmp_path / "slide")
    assert result.manifest.windows == 4
    assert_equals_whole(result, image, 1008)


class OutOfPowerError(RuntimeError):
    """Raised on purpose."""


def stop():
    raise OutOfPowerError


@dataclass(frozen=True)
class Fault:
    """What goes wrong: the n-th time that something is done."""

    where: str
    at: int


class Counted:
    """Calls through, but the n-th time something happens instead."""

    def __init__(self, call, at):
        self.call, self.left, self.lock = call, at, threading.Lock()

    def __call__(self, *arguments):
        with self.lock:
            self.left -= 1
        if self.left == -1:
            stop()
        return self.call(*arguments)


class FailingSlide:
    """A slide whose n-th read fails."""

    def __init__(self, slide, at):
        self.slide, self.read = slide, Counted(slide.read, at)

    def __getattr__(self, name):
        return getattr(self.slide, name)


FAULTS = st.one_of(
    st.builds(Fault, st.sampled_from(["read", "predict"]), st.integers(0, WINDOWS + 2)),
    st.builds(Fault, st.just("settle"), st.integers(0, 8)),
    st.builds(Fault, st.just("tell"), st.integers(0, WINDOWS + 6)),
    st.builds(Fault, st.sampled_from(["write", "full disk"]), st.integers(0, WRITES)),
)


def attempt(slide, folder, seed, fault):
    """One run with settings of its own; gives the settings and how many windows went through the network."""
    rng = random.Random(seed)
    layout = WorkSettings(
        readers=rng.randint(1, 4),
        queue=rng.randint(1, 5),
        tile_windows=rng.randint(1, 4),
        settlers=rng.randint(1, 4),
        cache_mb=rng.randint(1, 3),
    )
    parallel = rng.randint(1, 3)
    where, at = (fault.where, fault.at) if fault else ("", None)
    clock = Clockwork(seed, at if where == "predict" else None, stop)
    chosen = FailingSlide(slide, at) if where == "read" else slide
    tell = Counted(lambda *_: None, at if where == "tell" else 10**9)
    writes = Writes(
        folder, at if where in ("write", "full disk") else None, no_room, lasting=where == "full disk"
    )
    settle = Counted(ObjectFinder.settle, at if where == "settle" else 10**9)
    expected = nullcontext() if fault is None else suppress(OutOfPowerError, OutputError)
    with pytest.MonkeyPatch.context() as patch, writes, expected:
        patch.setattr(ObjectFinder, "settle", lambda *arguments: settle(*arguments))
        model = replace(clock.model(), parallel=parallel)
        segment_slide(chosen, model, folder, layout, progress=tell)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("histocerb")]
    return layout, clock.windows


def is_done(folder):
    try:
        manifest = read_manifest(folder)
    except OutputError:
        return False
    return manifest is not None and manifest.status is Status.DONE


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(FAULTS, st.sampled_from([0, 0, 2, 12, 60])), max_size=3),
    st.integers(0, 2**32 - 1),
)
@example([(Fault("full disk", 130), 0), (Fault("write", 1), 0)], 1)
@example([(Fault("tell", WINDOWS + 4), 12), (Fault("settle", 1), 60)], 2)
@example([(Fault("write", 2 * WRITES), 2)], 3)
def test_same_bytes_after_anything(plain, slide, tmp_path_factory, faults, seed):
    folder = tmp_path_factory.mktemp("run") / "slide"
    rng = random.Random(seed)
    most, spent, damaged = WINDOWS, 0, False
    for fault, most_damaged in faults:
        layout, windows = attempt(slide, folder, rng.random(), fault)
        spent += windows
        most += layout.queue + 2 + 3  # as many as the network takes at a time
        if most_damaged and folder.exists():
            damaged = True
            damage_newest(folder, rng, most_damaged, spared="manifest.json" if is_done(folder) else "")
    spent += attempt(slide, folder, rng.random(), None)[1]
    assert results(folder) == results(plain.folder)
    assert read_manifest(folder).counts == plain.manifest.counts
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in plain.folder.iterdir()
    )
    assert damaged or spent <= most, "more than the windows in flight were computed again"


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from hard_slide import Clockwork, Writes, draw, small_windows
from histocerb.inference.slide import segment_slide
from histocerb.slides.reader import open_slide

def die():
    os.kill(os.getpid(), signal.SIGKILL)

slide = open_slide(draw({seed}), mpp=0.5)
assert "torch" not in sys.modules, "the engine needs no network library"
for at in {kills!r}:
    child = os.fork()
    if not child:
        folder = Path({folder!r}) / str(at)
        with small_windows(), Writes(folder, at, die):
            segment_slide(slide, Clockwork(at).model(), folder)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_killed_processes_are_finished_by_the_next_one(undisturbed, plain, slide, tmp_path):
    writes = undisturbed[1]
    kills = [1, writes // 3, writes // 2, writes - 5, writes - 1]
    here = Path(__file__)
    code = KILLED.format(
        paths=[str(here.parents[2]), str(here.parent)], seed=SEED, kills=kills, folder=str(tmp_path)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(kills)
    for at in kills:
        folder = tmp_path / str(at)
        assert not is_done(folder)
        clock = Clockwork()
        segment_slide(slide, clock.model(), folder)
        assert clock.windows <= WINDOWS - max(0, at - 20) // 13
        assert results(folder) == results(plain.folder)


def interrupted(slide, folder, windows=7):
    with pytest.raises(OutOfPowerError):
        segment_slide(slide, Clockwork(0, windows, stop).model(), folder)
    assert read_manifest(folder).status is Status.FAILED
    assert not any((folder / name).exists() for name in ("objects.parquet", "tissue.parquet"))


def test_interrupted_work_is_taken_up(plain, slide, tmp_path):
    folder = tmp_path / "slide"
    interrupted(slide, folder)
    clock = Clockwork()
    segment_slide(slide, clock.model(), folder)
    assert clock.windows == WINDOWS - 7
    assert results(folder) == results(plain.folder)


def test_work_of_another_key_is_not_taken_up(slide, tmp_path):
    folder = tmp_path / "slide"
    interrupted(slide, folder)
    clock = Clockwork()
    segment_slide(slide, replace(clock.model(), sha256="1" * 64), folder)
    assert clock.windows == WINDOWS


def test_another_kind_of_arithmetic_gives_another_result(plain, slide):
    with pytest.raises(OutputError, match="another one in"):
        segment_slide(slide, replace(Clockwork().model(), arithmetic="cuda bf16"), plain.folder)


@pytest.mark.parametrize("content", [b'{"status": "runn', bytes(300)])
def test_damaged_manifest_does_not_stop_our_own_work(plain, slide, tmp_path, content):
    folder = tmp_path / "slide"
    interrupted(slide, folder)
    (folder / "manifest.json").write_bytes(content)
    (folder / "objects.parquet").write_bytes(b"half")
    clock = Clockwork()
    segment_slide(slide, clock.model(), folder)
    assert clock.windows == WINDOWS - 7
    assert results(folder) == results(plain.folder)


def test_damaged_manifest_beside_results_of_others_protects_them(slide, tmp_path):
    folder = tmp_path / "slide"
    folder.mkdir()
    (folder / "manifest.json").write_text("{")
    (folder / "objects.parquet").write_text("of somebody")
    with pytest.raises(OutputError, match="--overwrite"):
        segment_slide(slide, Clockwork().model(), folder)
    assert (folder / "objects.parquet").read_text() == "of somebody"
    (folder / "objects.parquet").unlink()
    assert not segment_slide(slide, Clockwork().model(), folder).skipped


@pytest.mark.parametrize("name", ["objects.parquet", "tissue.parquet", "overview.png"])
def test_complete_result_whose_files_are_damaged_is_made_again(plain, slide, tmp_path, name):
    folder = tmp_path / "slide"
    folder.mkdir()
    for path in plain.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert segment_slide(slide, Clockwork().model(), folder).skipped
    (folder / name).write_bytes(bytes((folder / name).stat().st_size))
    assert not segment_slide(slide, Clockwork().model(), folder).skipped
    assert results(folder) == results(plain.folder)


def test_maps_that_get_damaged_meanwhile_are_computed_again(plain, slide, tmp_path, monkeypatch, caplog):
    folder, clock = tmp_path / "slide", Clockwork()
    finish, times = ObjectFinder.finish, []

    def lose(finder, *arguments):
        times.append(1)
        if len(times) == 1:
            (folder / ".work/maps/lumen.instance/0.1.1").unlink()
        finish(finder, *arguments)

    monkeypatch.setattr(ObjectFinder, "finish", lose)
    monkeypatch.setattr(Canvas, "_cached_chunk", Canvas._chunk)
    segment_slide(slide, clock.model(), folder)
    assert clock.windows == WINDOWS + 1
    assert "window 1, 1 as they were written" in caplog.text
    assert results(folder) == results(plain.folder)


def ring() -> np.ndarray:
    """A gland around another, with more than a window between them on all sides."""
    planes = np.full((3, 5 * WINDOW_PX, 5 * WINDOW_PX), 255, np.uint8)
    middle = 5 * WINDOW_PX // 2
    for shade, rim_px in ((RIM, 0), (INSIDE, 4)):
        corner, thickness = (50, 50), 2 * (14 - rim_px)
        cv2.rectangle(planes[1], corner, (2 * middle - 50, 2 * middle - 50), shade, thickness)
        cv2.circle(planes[1], (middle, middle), 60 - rim_px, shade, -1)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def test_what_lies_in_a_hole_is_there_before_the_object_around_it(tmp_path, monkeypatch):
    """Maps of the window in the middle are lost when all others are known, and it is computed last."""
    slide, finish = open_slide(ring(), mpp=0.5), ObjectFinder.finish
    expected = segment_slide(slide, Clockwork().model(), tmp_path / "plain", WorkSettings(tile_windows=1))
    assert sum(expected.manifest.counts["gland"].values()) == 2

    def lose(finder, *arguments):
        monkeypatch.setattr(ObjectFinder, "finish", finish)
        (tmp_path / "slide/.work/maps/gland.instance/0.2.2").unlink()
        raise OutOfPowerError

    for side in (1, 2):
        folder = tmp_path / "slide"
        shutil.rmtree(folder, ignore_errors=True)
        monkeypatch.setattr(ObjectFinder, "finish", lose)
        with pytest.raises(OutOfPowerError):
            segment_slide(slide, Clockwork().model(), folder, WorkSettings(tile_windows=side))
        clock = Clockwork(at=0, then=lambda: time.sleep(1))
        segment_slide(slide, clock.model(), folder, WorkSettings(tile_windows=side))
        assert clock.windows == 1
        assert results(folder) == results(expected.folder)


def test_a_disk_that_keeps_losing_maps_is_an_error(slide, tmp_path, monkeypatch):
    write = Canvas.write

    def lose(canvas, window, maps):
        write(canvas, window, maps)
        (tmp_path / "slide/.work/maps/gland.type/1.1").unlink(missing_ok=True)

    monkeypatch.setattr(Canvas, "write", lose)
    with pytest.raises(DamagedMapsError, match="look after the disk"):
        segment_slide(slide, Clockwork().model(), tmp_path / "slide")


def test_second_process_leaves_a_slide_in_work_alone(plain, slide, tmp_path):
    folder, outcomes = tmp_path / "slide", []

    def second():
        with pytest.raises(InWorkError, match=rf"{folder} free, found it in work elsewhere"):
            segment_slide(slide, Clockwork().model(), folder, overwrite=True)
        outcomes.append(read_manifest(folder).status)

    segment_slide(slide, Clockwork(0, 9, second).model(), folder)
    assert outcomes == [Status.RUNNING]
    assert results(folder) == results(plain.folder)
    assert segment_slide(slide, Clockwork().model(), folder).skipped


@pytest.mark.parametrize("at", [3, WINDOWS - 1])
def test_who_lost_the_slide_publishes_nothing(plain, slide, tmp_path, at):
    folder = tmp_path / "slide"
    lease = folder / ".work/lease"
    other = {"machine": this_machine(), "pid": 2**22 + 1, "birth": "", "since": "now", "token": "other"}

    def suspended_for_long():
        lease.unlink()
        lease.write_text(json.dumps(other))

    with pytest.raises(InWorkError, match=r"process 4194305 on .* took the slide over"):
        segment_slide(slide, Clockwork(0, at, suspended_for_long).model(), folder)
    assert read_manifest(folder).status is Status.RUNNING
    assert json.loads(lease.read_text()) == other
    assert not (folder / "objects.parquet").exists()
    segment_slide(slide, Clockwork().model(), folder)
    assert results(folder) == results(plain.folder)
