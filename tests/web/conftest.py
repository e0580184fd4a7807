"""A cohort of a drawn slide, a failed and a waiting one, behind a real server."""

import json
import sys
from pathlib import Path

import pytest

from histocerb.inference.cohort.failures import Failure, remember

sys.path.insert(0, str(Path(__file__).parent))  # for drawn and served

from browsing import chromium
from drawn import changed_nuclei, write_result, write_slide
from served import NAME, Client, start


@pytest.fixture(scope="session")
def slide_file(tmp_path_factory) -> Path:
    return write_slide(tmp_path_factory.mktemp("slides") / f"{NAME}.tif")


@pytest.fixture(scope="session")
def cohort(tmp_path_factory, slide_file) -> Path:
    out = tmp_path_factory.mktemp("results") / "trial"
    write_result(out / NAME, slide_file)
    remember(out, Failure("/slides/torn.svs", "torn", "expected a slide, found an empty file; copy it again"))
    slides = [{"name": name} for name in (NAME, "torn", "later")]
    (out / "run.json").write_text(json.dumps({"configuration": {"cohort": slides}}))
    return out


@pytest.fixture(scope="session")
def other(tmp_path_factory, slide_file) -> Path:
    """Another result of the same slide, of which the folder has another name."""
    out = tmp_path_factory.mktemp("results") / "other"
    write_result(out / "again", slide_file, row_group=300, found_nuclei=changed_nuclei()[0])
    return out


@pytest.fixture(scope="session")
def both_link(cohort, other):
    """A viewer of both results."""
    link, stop = start(cohort, compare=other)
    yield link
    stop()


@pytest.fixture(scope="session")
def link(cohort):
    link, stop = start(cohort)
    yield link
    stop()


@pytest.fixture(scope="module")
def context():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, chromium(playwright) as context:
        yield context


@pytest.fixture(scope="session")
def ask(link) -> Client:
    return Client(link)
