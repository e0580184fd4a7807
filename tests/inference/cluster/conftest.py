"""Three tiny slides, what a plain run makes of them, and an S3 server on this machine."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hard_slide import small_windows
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from stand_in_on_nodes import SHA256, StandIn

from histocerb.inference.cluster.cohort import segment_anywhere
from histocerb.inference.cluster.results import results_at
from histocerb.inference.cluster.tasks import ModelOnNodes
from histocerb.inference.cohort.plan import Request, make_plan
from histocerb.inference.cohort.run import Unwatched, segment_cohort
from histocerb.inference.pipeline import WorkSettings
from histocerb.slides.remote import RemoteFile, file_system

SIZES = {"a": (100, 120), "b": (280, 430), "c": (130, 140)}
"""Height and width; with small windows b has six, the others one."""
RESULTS = ("objects.parquet", "tissue.parquet", "overview.png")


@pytest.fixture(autouse=True)
def _small_windows() -> Iterator[None]:
    with small_windows():
        yield


@pytest.fixture(scope="session")
def scans(make_image, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for number, (name, (height, width)) in enumerate(SIZES.items()):
        Image.fromarray(make_image(height, width, number)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def plain(scans, model, tmp_path_factory) -> Path:
    """Results of a plain run on this machine."""
    out = tmp_path_factory.mktemp("plain")
    with small_windows():
        outcomes = segment_cohort(make_plan(Request((scans,), 0.5), out), model, out)
    assert [outcome.failed for outcome in outcomes] == [False] * len(SIZES)
    return out


@pytest.fixture
def segment(model):
    """Segments wherever; by default as `histocerb segment` does it without --cluster."""

    def call(sources, where, *, loader=None, watch=None, **options):
        with results_at(where.out) as results:
            plan = make_plan(Request(tuple(sources), **{"mpp": 0.5, **options}), results.folder)
            on_nodes = ModelOnNodes(loader or StandIn(), SHA256)
            return segment_anywhere(
                plan, model, on_nodes, results, where, WorkSettings(), watch or Unwatched()
            )

    return call


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """URL of a bucket on a server of this machine."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (extra cloud)")
    server_module = pytest.importorskip("moto.server", reason="moto is not installed (development only)")
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with _environment(settings):
        fs, _ = file_system("s3://histocerb")
        fs.mkdir("histocerb")
        yield "s3://histocerb"
    server.stop()


@contextmanager
def _environment(settings):
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture
def memory() -> RemoteFile:
    """A folder of its own in fsspec's memory."""
    return RemoteFile(f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def put():
    """Copies local files to a URL."""

    def call(folder: Path, url: RemoteFile) -> RemoteFile:
        fs, path = file_system(url.url)
        for file in folder.iterdir():
            fs.pipe_file(f"{path}/{file.name}", file.read_bytes())
        return url

    return call


@pytest.fixture
def get():
    """Content of a file at a URL or path."""

    def call(place) -> bytes:
        if isinstance(place, Path):
            return place.read_bytes()
        fs, path = file_system(place.url)
        return fs.cat_file(path)

    return call


@pytest.fixture
def assert_same(plain, get):
    """The results at a place are those of the plain run, byte for byte."""

    def check(out, names=tuple(SIZES)):
        for name in names:
            for file in RESULTS:
                assert get(out / name / file) == (plain / name / file).read_bytes(), (name, file)

    return check
