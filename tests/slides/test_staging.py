"""Remote slides: read as the local ones are, copied into a cache of bounded size that processes share."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histocerb.core.errors import SlideError, UsageError
from histocerb.core.geometry import Region
from histocerb.slides import staging
from histocerb.slides.reader import open_slide
from histocerb.slides.remote import RemoteFile, file_system, files_in, is_url, matching, place
from histocerb.slides.staging import Cache, parse_bytes, stage

SIDE = 40


@pytest.fixture
def slides(tmp_path) -> Path:
    folder = tmp_path / "slides"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def store(slides) -> RemoteFile:
    folder = RemoteFile(f"memory://{uuid.uuid4().hex}")
    for file in slides.iterdir():
        write(folder / file.name, file.read_bytes())
    return folder


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def write(file: RemoteFile, content: bytes) -> None:
    fs, path = file_system(file.url)
    fs.pipe_file(path, content)


def copies(cache) -> set[str]:
    return {path.name for path in cache.place.glob("*/*.*") if not path.name.startswith(".")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/slides/a.svs", RemoteFile("s3://bucket/slides/a.svs")),
        ("gs://bucket/slides/", RemoteFile("gs://bucket/slides")),
        ("file:///scans/a.svs", Path("/scans/a.svs")),
        ("scans/a.svs", Path("scans/a.svs")),
        ("C:\\scans\\a.svs", Path("C:\\scans\\a.svs")),
    ],
)
def test_urls_and_paths_are_told_apart(text, expected):
    assert place(text) == expected
    assert is_url(text) == ("://" in text)


def test_parts_of_a_url():
    file = RemoteFile("s3://bucket/slides/a.b.svs")
    assert (file.name, file.stem, file.suffix) == ("a.b.svs", "a.b", ".svs")
    assert file.parent / file.name == file
    assert not file.is_pattern
    assert (file.parent / "*.svs").is_pattern


def test_folders_and_globs(store):
    assert [file.place for file in files_in(store)] == [store / f"{n}.png" for n in range(3)]
    assert files_in(store / "none") == []
    assert matching(store / "[12].png") == [store / "1.png", store / "2.png"]


def test_unknown_and_missing_stores_say_what_to_do(store):
    with pytest.raises(UsageError, match="expected a URL that fsspec knows"):
        file_system("nosuchstore://bucket")
    with pytest.raises(SlideError, match=rf"{store.url}/none.svs: expected a slide, found no such file"):
        open_slide(store.url + "/none.svs", 0.5)
    with pytest.raises(SlideError, match="found a folder"):
        open_slide(store.url, 0.5)


@pytest.mark.parametrize(
    ("text", "size"), [("100GB", 100 * 10**9), ("1.5 tb", 15 * 10**11), ("20M", 20_000_000), ("7", 7)]
)
def test_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1GB", "many", "1.2.3", "5 miles"])
def test_no_size(text):
    with pytest.raises(UsageError, match="--cache-size"):
        parse_bytes(text)


def test_the_same_pixels_and_fingerprint_as_the_local_file(slides, store, cache):
    local = open_slide(slides / "0.png", 0.5)
    remote = open_slide(store / "0.png", 0.5, cache)
    region = Region(3, 5, 20, 30)
    np.testing.assert_array_equal(remote.read(region, 0.5), local.read(region, 0.5))
    assert remote.fingerprint() == local.fingerprint()
    assert (remote.path, remote.vendor) == (f"{store}/0.png", "png")
    again = pickle.loads(pickle.dumps(remote))
    remote.close()
    np.testing.assert_array_equal(again.read(region, 0.5), local.read(region, 0.5))
    again.close()
    shutil.rmtree(cache.place)
    np.testing.assert_array_equal(remote.read(region, 0.5), local.read(region, 0.5))
    remote.close()


def test_a_damaged_slide_is_called_by_its_url(store, cache):
    write(store / "0.png", b"not an image")
    with pytest.raises(SlideError, match=rf"^{store.url}/0.png: ") as raised:
        open_slide(store / "0.png", 0.5, cache)
    assert str(cache.place) not in str(raised.value)


def test_a_file_that_was_replaced_is_copied_again(slides, store, cache):
    for number in (0, 1):
        write(store / "0.png", (slides / f"{number}.png").read_bytes())
        staged = stage(store / "0.png", cache)
        assert staged.path.read_bytes() == (slides / f"{number}.png").read_bytes()
        staged.release()


def test_a_file_that_changes_meanwhile_is_refused(slides, store, cache, monkeypatch):
    fs, _ = file_system(store.url)
    get_file = type(fs).get_file

    def changing(self, remote, local, **options):
        get_file(self, remote, local, **options)
        write(store / "0.png", b"other")

    monkeypatch.setattr(type(fs), "get_file", changing)
    with pytest.raises(SlideError, match="changed while it was copied"):
        stage(store / "0.png", cache)
    assert copies(cache) == set()


def small(cache, slides, count) -> Cache:
    """Room for the largest slides."""
    sizes = sorted(path.stat().st_size for path in slides.iterdir())
    return Cache(cache.folder, sum(sizes[-count:]))


def test_the_least_lately_used_goes_first(slides, store, cache):
    cache = small(cache, slides, 2)
    for number in (0, 1, 0, 2):
        stage(store / f"{number}.png", cache).release()
        time.sleep(0.02)
    assert copies(cache) == {"0.png", "2.png"}


def test_what_is_in_use_stays_and_others_wait(slides, store, cache, monkeypatch):
    monkeypatch.setattr(staging, "_WAIT_S", 0.01)
    cache = small(cache, slides, 1)
    first = stage(store / "0.png", cache)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(stage, store / "1.png", cache)
        time.sleep(0.2)
        assert not second.done()
        assert copies(cache) == {"0.png"}
        first.release()
        second.result().release()
    assert copies(cache) == {"1.png"}


def test_a_slide_larger_than_the_cache(store, cache):
    with pytest.raises(SlideError, match="raise --cache-size"):
        stage(store / "0.png", Cache(cache.folder, 10))


def limit_disk(monkeypatch, cache, room):
    """A disk that has room for so many bytes of copies."""

    def disk_usage(_):
        copied = sum(path.stat().st_size for path in cache.place.glob("*/*.png"))
        return shutil._ntuple_diskusage(room, copied, room - copied)

    monkeypatch.setattr(staging.shutil, "disk_usage", disk_usage)


def test_a_disk_smaller_than_the_bound(slides, store, cache, monkeypatch):
    limit_disk(monkeypatch, cache, small(cache, slides, 2).max_bytes)
    for number in (0, 1, 0, 2):
        stage(store / f"{number}.png", cache).release()
        time.sleep(0.02)
    assert copies(cache) == {"0.png", "2.png"}


def test_a_disk_that_others_have_filled(slides, store, cache, monkeypatch):
    limit_disk(monkeypatch, cache, 10)
    with pytest.raises(SlideError, match=r"expected room for .*No space left.*another --cache-dir"):
        stage(store / "0.png", cache)


def test_a_disk_that_gets_full_meanwhile(store, cache, monkeypatch):
    fs, _ = file_system(store.url)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(fs), "get_file", full)
    with pytest.raises(SlideError, match=r"expected room for .*No space left.*another --cache-dir"):
        stage(store / "0.png", cache)


@pytest.fixture
def default(tmp_path, monkeypatch) -> Cache:
    monkeypatch.setattr(staging.tempfile, "gettempdir", lambda: str(tmp_path))
    return Cache()


posix = pytest.mark.skipif(os.name == "nt", reason="no users there")


@posix
def test_the_default_folder_is_closed_to_others(store, default):
    for _ in range(2):
        stage(store / "0.png", default).release()
        assert default.place.stat().st_mode & 0o777 == 0o700
        default.place.chmod(0o755)


@posix
@pytest.mark.parametrize("kind", ["open", "link", "dangling", "file", "foreign"])
def test_a_default_folder_that_others_may_have_made_is_refused(store, default, tmp_path, monkeypatch, kind):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    if kind in ("link", "dangling"):
        default.place.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "none"))
    elif kind == "file":
        default.place.touch(mode=0o600)
    else:
        default.place.mkdir(mode=0o700)
    if kind == "open":
        default.place.chmod(0o720)
    if kind == "foreign":
        place = default.place
        monkeypatch.setattr(Cache, "place", place)
        monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(UsageError, match="expected a folder of yours to which nobody else may write"):
        stage(store / "0.png", default)


def test_half_a_copy_of_a_killed_process_is_made_whole(slides, store, cache):
    staged = stage(store / "0.png", cache)
    staged.release()
    (staged.path.parent / ".whole").unlink()
    staged.path.write_bytes(b"half")
    staged = stage(store / "0.png", cache)
    assert staged.path.read_bytes() == (slides / "0.png").read_bytes()
    staged.release()


def test_what_lies_beside_the_copies_is_left_alone(slides, store, cache):
    cache = small(cache, slides, 1)
    foreign = [cache.place / "thesis" / "chapter", cache.place / ("ab" * 16) / "data"]
    for file in foreign:
        file.parent.mkdir(parents=True)
        file.write_text("precious")
    for number in range(3):
        stage(store / f"{number}.png", cache).release()
    assert copies(cache) == {"2.png"}
    assert [file.read_text() for file in foreign] == ["precious"] * 2


def test_files_that_belong_to_a_slide_come_along(store, cache):
    for name in ("slide.mrxs", "slide/Slidedat.ini", "slide/Data0000.dat", "slide2/Data0000.dat"):
        write(store / name, name.encode())
    staged = stage(store / "slide.mrxs", cache)
    beside = staged.path.parent
    found = {path.relative_to(beside).as_posix() for path in beside.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(".")} == {
        "slide.mrxs",
        "slide/Slidedat.ini",
        "slide/Data0000.dat",
    }
    staged.release()


READ_MANY = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from histocerb.core.geometry import Region
from histocerb.slides.reader import open_slide
from histocerb.slides.staging import Cache

folder, cache = Path(sys.argv[1]), Cache(Path(sys.argv[2]), int(sys.argv[3]))
for number in np.random.default_rng(int(sys.argv[4])).integers(0, 3, 15):
    slide = open_slide(f"file://{folder}/{number}.png", 0.5, cache)
    expected = np.asarray(Image.open(folder / f"{number}.png"))
    np.testing.assert_array_equal(slide.read(Region(0, 0, *expected.shape[:2]), 0.5), expected)
    slide.close()
"""


def test_processes_share_a_cache_with_room_for_two(slides, cache):
    """Through URLs of a local folder, which all processes see."""
    cache = small(cache, slides, 2)
    call = [sys.executable, "-c", READ_MANY, slides, cache.folder, str(cache.max_bytes)]
    workers = [subprocess.Popen([*call, str(seed)]) for seed in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(copies(cache)) <= 2
    assert len(copies(cache)) >= 1
