"""Interrupted, parallel and repeated conversions give the same bytes."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from histocerb.core.errors import DataError, UsageError
from histocerb.core.samples import Marks, ObjectLabels, Provenance, Sample
from histocerb.data.convert import Conversion, convert, split_store
from histocerb.data.sources.entry import Entry, as_entries
from histocerb.data.splits import SplitParams


def _read(path: Path) -> Sample:
    with Image.open(path) as opened:
        image = np.asarray(opened)
    ids = (image[..., 0] > 128).astype(np.int32)
    return Sample(image, 0.5, {"gland": ObjectLabels(ids)}, None, "set", path.stem, path.stem)


def _entries(folder: Path, n: int = 6) -> list[Entry]:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        path = folder / f"image-{i}.png"
        if not path.exists():
            pixels = np.random.default_rng(i).integers(0, 256, (40, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(path)
    return [Entry(p.stem, (p,), partial(_read, p)) for p in sorted(folder.glob("*.png"))]


def _bytes(out: Path) -> dict[str, bytes]:
    return {
        p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*.*")) if p.name != ".lock"
    }


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_does_not_matter(tmp_path: Path, workers: int) -> None:
    entries = _entries(tmp_path / "set")
    convert(entries, tmp_path / "one", Conversion("set", tmp_path / "set"))
    convert(entries, tmp_path / "many", Conversion("set", tmp_path / "set", workers=workers))
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "many")


@pytest.mark.parametrize("stop_at", [0, 1, 3, 5])
def test_an_interrupted_conversion_goes_on_where_it_stopped(tmp_path: Path, stop_at: int) -> None:
    entries, out = _entries(tmp_path / "set"), tmp_path / "store"
    loaded: list[str] = []

    def counting(entry: Entry) -> Sample:
        loaded.append(entry.name)
        return entry.load()

    def watched(last: int) -> list[Entry]:
        return [Entry(e.name, e.files, partial(counting, e)) for e in entries[:last]]

    def breaking():
        yield from watched(stop_at)
        raise DataError("the disk was pulled out")

    with pytest.raises(DataError, match="pulled"):
        convert(breaking(), out, Conversion("set"))
    assert not (out / "manifest.parquet").exists()
    written = len(loaded)
    convert(watched(6), out, Conversion("set"))
    assert len(loaded) <= 6 + _at_most_ahead(written, stop_at)
    convert(entries, tmp_path / "other", Conversion("set"))
    assert _bytes(out) == _bytes(tmp_path / "other")
    assert not list((out / "pixels").glob(".part*"))


def _at_most_ahead(written: int, stop_at: int) -> int:
    """Samples that were read but not written when the run broke off are read twice."""
    return min(written, 2) if stop_at else 0


def test_changed_files_and_settings_are_read_again(tmp_path: Path) -> None:
    entries, out = _entries(tmp_path / "set"), tmp_path / "store"

    def interrupted(settings: str) -> None:
        def breaking():
            yield from entries
            raise DataError("stop")

        with pytest.raises(DataError, match="stop"):
            convert(breaking(), out, Conversion("set", settings=settings))

    interrupted("a")
    Image.fromarray(np.full((40, 50, 3), 200, np.uint8)).save(tmp_path / "set" / "image-2.png")
    store = convert(entries, out, Conversion("set", settings="a"))
    assert store.image(2)[0, 0].tolist() == [200, 200, 200]
    interrupted("a")
    (part,) = (out / "pixels").glob(".part-set")
    part.write_bytes(bytes(part.stat().st_size))
    store = convert(entries, out, Conversion("set", settings="b"))
    assert np.array_equal(store.image(0), entries[0].load().image)


def test_spoilt_bytes_of_an_unfinished_part_are_made_again(tmp_path: Path) -> None:
    entries, out = _entries(tmp_path / "set"), tmp_path / "store"

    def breaking():
        yield from entries
        raise DataError("stop")

    with pytest.raises(DataError, match="stop"):
        convert(breaking(), out, Conversion("set"))
    (part,) = (out / "pixels").glob(".part-set")
    content = bytearray(part.read_bytes())
    content[len(content) // 4] ^= 255
    part.write_bytes(content)
    store = convert(entries, out, Conversion("set"))
    for index, entry in enumerate(entries):
        assert np.array_equal(store.image(index), entry.load().image)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX systems")
def test_killed_in_the_middle(tmp_path: Path) -> None:
    entries, out = _entries(tmp_path / "set"), tmp_path / "store"
    code = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from test_convert import _entries; from histocerb.data.convert import Conversion, convert\n"
        "def dying(entries):\n"
        "    yield from entries[:4]\n"
        "    os.kill(os.getpid(), 9)\n"
        "convert(dying(_entries(Path(sys.argv[2]))), Path(sys.argv[3]), Conversion('set'))\n"
    )
    arguments = [str(Path(__file__).parent), str(tmp_path / "set"), str(out)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert (out / "pixels" / ".part-set.jsonl").is_file()
    convert(entries, out, Conversion("set"))
    convert(entries, tmp_path / "other", Conversion("set"))
    assert _bytes(out) == _bytes(tmp_path / "other")


def test_two_writers(tmp_path: Path, sample) -> None:
    convert(as_entries([sample("a")]), tmp_path)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(tmp_path / ".lock"):
            held.set()
            done.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    try:
        with pytest.raises(UsageError, match="another process"):
            convert(as_entries([sample("b")]), tmp_path)
    finally:
        done.set()
        other.join()


def test_marks_centre_licence_origin_and_provenance_are_kept(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    boxes = np.array([[10, 20, 30, 40], [5, 5, 5, 5]], np.float32)
    made = Sample(
        image,
        0.25,
        source="s",
        patient="p",
        name="n",
        marks={"nucleus-centre": Marks(boxes, ("plasma", ""))},
        centre="c",
        provenance=Provenance(2, "nobody", "2026-01-02", "default abc"),
    )
    entry = Entry("n", (tmp_path / "set" / "deep" / "n.tif",), lambda: made)
    store = convert([entry], tmp_path / "store", Conversion("set", tmp_path / "set", "free"))
    found, record = store.sample(0), store.records[0]
    assert np.array_equal(found.marks["nucleus-centre"].boxes, boxes / 2)
    assert found.marks["nucleus-centre"].classes == ("plasma", "")
    assert found.provenance == made.provenance
    assert (record.centre, record.licence, record.original) == ("c", "free", "deep/n.tif")
    assert record.marks[0].per_class == (1, 1)


@pytest.mark.parametrize(
    ("boxes", "classes", "words"),
    [
        ([[0, 0, 90, 9]], ("plasma",), "within 80 x 60"),
        ([[9, 9, 3, 3]], ("plasma",), "within 80 x 60"),
        ([[0, 0, np.nan, 9]], ("plasma",), "within 80 x 60"),
        ([[0, 0, 9, 9]], (), "N classes"),
        ([[0, 0, 9, 9]], ("tooth",), "tooth"),
    ],
)
def test_marks_that_contradict_themselves(tmp_path: Path, boxes, classes, words: str) -> None:
    marks = {"nucleus-centre": Marks(np.array(boxes, np.float32), classes)}
    image = np.zeros((60, 80, 3), np.uint8)
    made = Sample(image, 0.5, source="s", patient="p", name="n", marks=marks)
    with pytest.raises(DataError, match=words):
        convert(as_entries([made]), tmp_path)


def test_a_store_that_is_written_to_is_not_split(tmp_path: Path, sample) -> None:
    convert(as_entries([sample("a"), sample("b")]), tmp_path)
    with FileLock(tmp_path / ".lock"), pytest.raises(UsageError, match="another process"):
        split_store(tmp_path, SplitParams(folds=2))
