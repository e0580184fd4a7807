"""URLs, the names in them, and what stores and web servers say of files."""

import functools
import http.server
import os
import threading
import uuid

import pytest

from histocerb.core.errors import SlideError, UsageError
from histocerb.slides.remote import RemoteFile, file_system, is_there, look, place, reachable, shown

SIGNED = "https://host/scans/a.b.svs?X-Amz-Signature=1/2.c"


@pytest.mark.parametrize("text", ["s3://", "s3:///", "gs://", "file://"])
def test_the_beginning_of_a_url_is_none(text):
    with pytest.raises(UsageError, match="found nothing after its beginning"):
        place(text)


def test_names_in_urls_of_web_servers_end_before_the_query():
    file = RemoteFile(SIGNED)
    assert (file.name, file.stem, file.suffix) == ("a.b.svs", "a.b", ".svs")
    assert file.parent == RemoteFile("https://host/scans")
    assert not file.is_pattern
    assert RemoteFile("s3://bucket/a?.svs").is_pattern


@pytest.mark.parametrize(
    ("folder", "path", "expected"),
    [
        ("s3://bucket/tables", "a.svs", "s3://bucket/tables/a.svs"),
        ("s3://bucket/tables", "./x/a.svs", "s3://bucket/tables/x/a.svs"),
        ("s3://bucket/tables", "../slides/a.svs", "s3://bucket/slides/a.svs"),
        ("s3://bucket", "a.svs", "s3://bucket/a.svs"),
        ("s3://bucket/tables", "../../../a.svs", "s3://bucket/a.svs"),
    ],
)
def test_where_relative_paths_lead(folder, path, expected):
    assert RemoteFile(folder).joined(path).url == expected


@pytest.fixture
def stored():
    """A file called like a pattern."""
    file = RemoteFile(f"memory://{uuid.uuid4().hex}/a[1].svs")
    fs, path = file_system(file.url)
    fs.pipe_file(path, b"12345")
    return file


def test_what_is_there(stored):
    assert is_there(stored)
    assert is_there(stored.parent)
    assert not is_there(stored.parent / "none")
    assert shown(stored) == look(stored)
    assert shown(stored.parent) is None
    assert shown(stored.parent / "none") is None


def test_a_store_that_is_busy_does_not_count_as_one_without_the_file(stored, monkeypatch):
    fs, _ = file_system(stored.url)

    def busy(*_, **__):
        raise OSError(16, "reduce your request rate")

    monkeypatch.setattr(type(fs), "info", busy)
    with pytest.raises(SlideError, match="reduce your request rate"):
        shown(stored)


def test_a_full_disk_is_not_a_failing_store():
    with pytest.raises(OSError, match="full"), reachable("s3://bucket/a.svs"):
        raise OSError(28, "full")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says when a file was modified, and no ETag."""

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """A web server with a file."""
    pytest.importorskip("aiohttp")
    (tmp_path / "a.svs").write_bytes(b"one")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_web_server_tells_that_a_file_was_replaced(web, tmp_path):
    signed = RemoteFile(f"{web}/a.svs?X-Amz-Signature=1")
    first = look(signed)
    (tmp_path / "a.svs").write_bytes(b"two")
    os.utime(tmp_path / "a.svs", (10**9, 10**9))
    assert (first.size, look(signed).size) == (3, 3)
    assert look(signed).version != first.version
