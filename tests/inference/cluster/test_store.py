"""What is asked of a store, of memory and of a folder, and who works on a slide there."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, replace

import pytest

from histocerb.core.errors import InWorkError, OutputError
from histocerb.inference import work
from histocerb.inference.cluster import pieces, store_lease
from histocerb.inference.cluster.store import Store
from histocerb.inference.cluster.store_lease import lease_numbers, leased
from histocerb.inference.lease import Holder, Terms
from histocerb.inference.process import this_machine, this_process
from histocerb.slides.remote import RemoteFile

HERE = Holder(this_machine(), os.getpid(), this_process(), "2026-01-01 00:00:00 UTC", "other")
ELSEWHERE = replace(HERE, machine="node7 boot pid:[1]")
AT_ONCE = Terms(expiry_s=-1.0)


@pytest.fixture(params=["memory", "folder"])
def store(request, memory, tmp_path) -> Store:
    return Store(memory if request.param == "memory" else RemoteFile(tmp_path.as_uri()) / "out")


def test_files_come_and_go(store, tmp_path):
    assert (store.read("a"), store.files(), store.exists("a"), store.ends("a")) == (None, {}, False, None)
    assert store.modified("a") is None
    store.remove("a")
    store.remove_folder("b")
    store.write("a", b"1")
    store.write("b/c", b"2")
    assert {*store.files()} == {"a", "b/c"}
    assert store.read_all(["a", "b/c", "none"]) == {"a": b"1", "b/c": b"2"}
    assert (store / "b").read("c") == b"2"
    assert store.download("b/c", tmp_path / "copy")
    assert not store.download("b/none", tmp_path / "none")
    store.upload(tmp_path / "copy", "d/e")
    assert store.read("d/e") == b"2"
    store.remove("a")
    store.remove_folder("b")
    assert {*store.files()} == {"d/e"}


@pytest.mark.parametrize("name", ["a[1]", "a b", "ä#%20"])
def test_names_mean_themselves(store, name):
    for folder in (name, "a1"):
        (store / "x" / folder).write(".pieces/p", folder.encode())
    assert (store / "x").read_all([f"{name}/.pieces/p"]) == {f"{name}/.pieces/p": name.encode()}
    (store / "x" / name).remove_folder(".pieces")
    assert {*store.files()} == {"x/a1/.pieces/p"}


def test_one_of_many_creates_a_file(store):
    start = threading.Barrier(8)
    made = []

    def create(number):
        start.wait()
        made.append(store.create("x", b"%d" % number))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 7 + [True]
    assert store.read("x") in {b"%d" % number for number in range(8)}


@pytest.mark.parametrize("size", [0, 10, work.END_BYTES, work.END_BYTES + 1, 3 * work.END_BYTES])
def test_checksums_are_those_of_a_local_file(store, tmp_path, size):
    (tmp_path / "file").write_bytes(os.urandom(size))
    store.upload(tmp_path / "file", "file")
    assert store.ends("file") == work.ends(tmp_path / "file")


def test_a_store_that_fails_is_one_sentence(store, monkeypatch):
    def refused(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr("histocerb.inference.cluster.store.file_system", refused)
    with pytest.raises(OutputError, match=r"found it failing \(Access Denied\); check the URL"):
        store.read("a")


@pytest.mark.parametrize("ask", ["write", "create", "upload", "files"])
def test_a_bucket_that_is_not_there_is_one_sentence(store, tmp_path, monkeypatch, ask):
    def none(self, *_, **__):
        raise FileNotFoundError("The specified bucket does not exist")

    (tmp_path / "file").touch()
    arguments = {"write": ("a", b""), "create": ("a", b""), "upload": (tmp_path / "file", "a"), "files": ()}
    monkeypatch.setattr("histocerb.inference.cluster.store.file_system", lambda _: (Missing(none), "bucket"))
    with pytest.raises(OutputError, match=r"\(The specified bucket does not exist\); check the URL"):
        getattr(store, ask)(*arguments[ask])


class Missing:
    """A file system of which every call fails in the same way."""

    protocol = "missing"

    def __init__(self, fail):
        self.pipe_file = self.put_file = self.find = fail


def test_one_holder_at_a_time(store):
    with leased(store) as lease:
        lease.check()
        with pytest.raises(InWorkError, match=rf"in work elsewhere, by process {os.getpid()}"), leased(store):
            pytest.fail("taken")
        lease.check()
    assert store.files() == {}
    with leased(store):
        assert lease_numbers(store) == [1]


def leave(store, holder, number=1):
    """A lease as another process leaves it."""
    store.write(f".work/alive-{holder.token}", b"")
    store.write(f".work/lease-{number:06}", json.dumps(asdict(holder)).encode())


def test_a_lease_from_elsewhere_holds_until_it_is_old(store):
    leave(store, ELSEWHERE)
    with pytest.raises(InWorkError, match="on node7 since 2026-01-01"), leased(store):
        pytest.fail("taken")
    with leased(store, AT_ONCE) as lease:
        assert lease_numbers(store) == [1, 2]
        lease.check()
    assert lease_numbers(store) == []


def test_a_dead_process_of_this_machine_ends_its_lease(store):
    leave(store, replace(HERE, birth="1"))
    with leased(store) as lease:
        lease.check()


@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_a_lease_that_says_nothing_is_over(store, content):
    store.write(".work/lease-000003", content)
    with leased(store) as lease:
        lease.check()
        assert lease_numbers(store) == [3, 4]


def test_who_lost_it_is_told_and_leaves_that_of_the_other(store):
    with leased(store) as lease:
        leave(store, ELSEWHERE, number=2)
        with pytest.raises(InWorkError, match=r"took the slide over.* nothing of it was published"):
            lease.check()
    assert lease_numbers(store) == [2]


def test_numbers_that_begin_anew_are_told_apart(store):
    """A was suspended, B took over and is done, C has begun: it has the number that A had."""
    with leased(store) as first:
        store.remove_folder(".work")
        leave(store, ELSEWHERE)
        with pytest.raises(InWorkError, match="took the slide over"):
            first.check()
    assert lease_numbers(store) == [1]
    assert store_lease.read_holder(store, 1) == ELSEWHERE


def test_a_lease_that_cannot_be_given_back_is_no_failure(store, monkeypatch, caplog):
    def busy(*_):
        raise OutputError("busy")

    with leased(store):
        monkeypatch.setattr(type(store), "remove", busy)
    assert "could not be given back: busy" in caplog.text


def test_the_holder_gives_signs_of_life(store):
    with leased(store, Terms(refresh_s=0.02)) as lease:
        first = store.modified(f".work/alive-{lease.token}")
        given = threading.Event()
        deadline = 1500
        while store.modified(f".work/alive-{lease.token}") == first and deadline:
            given.wait(0.02)
            deadline -= 1
        assert deadline


def test_two_that_ask_at_once(store, monkeypatch):
    """Both have seen no lease: one of them gets it."""
    monkeypatch.setattr(store_lease, "lease_numbers", lambda _: [])
    leave(store, ELSEWHERE)
    with pytest.raises(InWorkError, match="another process has just begun"), leased(store):
        pytest.fail("taken")


def test_pieces_with_strange_members_are_not_unpacked_elsewhere(tmp_path):
    import io
    import tarfile

    with tarfile.open(tmp_path / "piece", "w") as tar:
        for name in ("../evil", "windows/../../evil", "/evil", "maps/x/y/0.0", "windows/0-0"):
            info = tarfile.TarInfo(name)
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))
        link = tarfile.TarInfo("windows/1-1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    folder = tmp_path / "work"
    assert pieces.unpack(tmp_path / "piece", folder) == 1
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "piece",
        "work/windows/0-0",
    ]
