"""A cohort of a drawn slide, a failed and a waiting one, behind a real server."""

import json
import sys
from pathlib import Path

import pytest

from histocerb.inference.cohort.failures import Failure, remember

sys.path.insert(0, str(Path(__file__).parent))  # for drawn and served

from drawn import write_result, write_slide
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
def link(cohort):
    link, stop = start(cohort)
    yield link
    stop()


@pytest.fixture(scope="session")
def ask(link) -> Client:
    return Client(link)
