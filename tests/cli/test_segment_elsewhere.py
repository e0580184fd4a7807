"""Slides and results that have URLs, and options of clusters, from the command line."""

import os
import signal
import tempfile
import uuid

import pytest

from histocerb import api
from histocerb.inference.compute import resolve
from histocerb.slides.remote import file_system

pytestmark = pytest.mark.usefixtures("colour_model")


@pytest.fixture
def url(picture):
    """A folder in memory with the picture."""
    folder = f"memory://{uuid.uuid4().hex}"
    fs, path = file_system(folder)
    fs.pipe_file(f"{path}/slides/picture.png", picture.read_bytes())
    return folder


def test_slides_and_results_in_a_store(cli, url, tmp_path):
    call = [
        "segment",
        f"{url}/slides",
        "--out",
        f"{url}/out/",
        "--mpp",
        0.5,
        "--cache-dir",
        tmp_path / "cache",
    ]
    shown = cli(*call)
    assert shown.code == 0
    assert f"picture: {url}/out/picture/overview.png" in shown.out
    assert f"summary: {url}/out/summary.parquet" in shown.out
    assert list((tmp_path / "cache").glob("*/picture.png"))
    assert "1 slide: 1 done before" in cli(*call).out
    status = cli("status", f"{url}/out")
    assert status.code == 0
    assert "1 slide: 1 done" in status.out
    assert f"summary: {url}/out/summary.parquet" in status.out


def test_what_fails_in_a_store_is_told_with_its_url(cli, url):
    shown = cli("segment", f"{url}/slides/none.svs", "--out", f"{url}/out", "--mpp", 0.5)
    assert shown.code == 1
    assert f"none: failed: {url}/slides/none.svs: expected a slide, found no such file" in shown.out
    assert f"failures: {url}/out/failures.csv" in shown.out


@pytest.fixture
def choosy_model(colour_model, monkeypatch):
    """The colour model, for devices and options that there are."""
    load = api.load_model

    def load_model(name="default", device="auto", precision="auto", batch="auto"):
        resolve(device, precision, batch)
        return load(name)

    monkeypatch.setattr(api, "load_model", load_model)


@pytest.mark.usefixtures("choosy_model")
@pytest.mark.parametrize("options", [("--batch", "4"), ("--precision", "fp16", "--device", "cuda")])
def test_options_of_gpus_on_a_cluster_are_for_its_nodes(cli, url, options):
    call = ("segment", f"{url}/slides", "--out", f"{url}/out", "--mpp", 0.5, "--cluster", "127.0.0.1:1")
    shown = cli(*call, *options)
    assert shown.code == 2
    assert "Ray" in shown.err


def test_sigterm_leaves_nothing_temporary(cli, url, tmp_path, monkeypatch):
    """Schedulers end jobs with it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = signal.getsignal(signal.SIGTERM)

    def end(*_, **__):
        assert signal.getsignal(signal.SIGTERM) is not before  # it would end the tests
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("histocerb.inference.cluster.publish.segment_slide", end)
    call = [
        "segment",
        f"{url}/slides",
        "--out",
        f"{url}/out",
        "--mpp",
        0.5,
        "--cache-dir",
        tmp_path / "cache",
    ]
    shown = cli(*call)
    assert (shown.code, signal.getsignal(signal.SIGTERM)) == (130, before)
    assert "run the same command to go on" in shown.err
    assert not list(tmp_path.glob("histocerb-*"))
    fs, path = file_system(url)
    assert not [name for name in fs.find(path) if ".work" in name]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--cache-size", "much"), "--cache-size"),
        (("--cluster", "auto", "--device", "cuda:1"), "--device auto, cpu or cuda"),
        (("--cluster", "auto", "--memory", "4GB"), "--memory without --cluster"),
        (("--cluster", "auto", "--precision", "fp61"), "--precision fp32, bf16, fp16 or auto"),
        (("--cluster", "auto", "--batch", "many"), "--batch of 1 to 9999"),
        (("--cluster", "auto", "--batch", "4", "--device", "cpu"), "--batch 1 or auto on a CPU"),
    ],
)
@pytest.mark.usefixtures("choosy_model")
def test_wrong_usage(cli, url, options, word):
    shown = cli("segment", f"{url}/slides", "--out", f"{url}/out", "--mpp", 0.5, *options)
    assert shown.code == 2
    assert word in shown.err
    assert len(shown.err.splitlines()) == 1


def test_no_results_at_a_url(cli, url):
    shown = cli("status", f"{url}/nothing")
    assert shown.code == 2
    assert "expected results, found none" in shown.err
