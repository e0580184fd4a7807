"""Slides are found where they are now, by the names and URLs of their manifests."""

import re
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from served import NAME

from histocerb.core.errors import SlideError
from histocerb.inference.manifest import read_manifest
from histocerb.web.slides import SlideShelf


@pytest.fixture
def found(cohort):
    """What a shelf with these folders finds by the path of a manifest."""

    def find(path: str, *folders: Path, beside: Path = Path("/gone/results/one")) -> str:
        manifest = read_manifest(cohort / NAME)
        shelf = SlideShelf(folders)
        try:
            return shelf.slide(replace(manifest, slide=manifest.slide | {"path": path}), beside).path
        finally:
            shelf.close()

    return find


@pytest.mark.parametrize("name", ["S1 [HE].tif", "S1*.tif", "S1?.tif"])
def test_names_are_no_patterns(name, found, slide_file, tmp_path):
    (tmp_path / "archive").mkdir()
    shutil.copy(slide_file, tmp_path / "archive" / "S1 H.tif")
    with pytest.raises(SlideError, match="found none"):
        found(f"/gone/{name}", tmp_path)
    shutil.copy(slide_file, tmp_path / "archive" / name)
    assert found(f"/gone/{name}", tmp_path) == str(tmp_path / "archive" / name)


def test_a_url_is_opened_as_such(found, slide_file):
    fs, folder = fsspec.filesystem("memory"), uuid.uuid4().hex
    fs.pipe(f"/{folder}/a.tif", slide_file.read_bytes())
    url = f"memory://{folder}/a.tif"
    assert found(url) == url
    assert found(f"file://{slide_file}") == str(slide_file)


def test_a_copy_on_this_machine_goes_before_a_url(found, slide_file, tmp_path):
    shutil.copy(slide_file, tmp_path / "a.tif")
    url = "memory://nowhere/a.tif"
    assert found(url, tmp_path) == str(tmp_path / "a.tif")
    assert found(url, beside=tmp_path / "results") == str(tmp_path / "a.tif")
    with pytest.raises(SlideError, match=f"expected the slide {re.escape(url)} of this result"):
        found(url)
