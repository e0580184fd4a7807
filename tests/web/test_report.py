import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from drawn import nuclei, unsure_nuclei, write_result
from PIL import Image
from served import NAME

from histocerb.core.errors import OutputError
from histocerb.inference.manifest import read_manifest, write_manifest
from histocerb.web.charts import histogram, stacked
from histocerb.web.report import write_cohort_report, write_slide_report
from histocerb.web.results import open_cohort
from histocerb.web.slides import SlideShelf
from histocerb.web.warnings import warnings_of


class Page(HTMLParser):
    """Addresses that a page asks for, and its table cells."""

    def __init__(self, text):
        super().__init__()
        self.asked, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.asked += [found[name] for name in ("src", "href") if name in found]


@pytest.fixture
def pictured(cohort, tmp_path):
    """A cohort whose slide has an overview."""
    out = shutil.copytree(cohort, tmp_path / "trial")
    Image.new("RGB", (300, 200), (200, 100, 150)).save(out / NAME / "overview.png")
    return open_cohort(out)


def test_slide_report_stands_alone_and_has_the_figures(pictured):
    text = write_slide_report(pictured, NAME, SlideShelf()).read_text(encoding="utf-8")
    assert all(address.startswith("data:image/jpeg;base64,") for address in Page(text).asked)
    assert "<script" not in text
    count = (nuclei().codes == 3).sum()
    assert re.search(rf"plasma</th><td>nucleus</td><td>{count}</td>", text)
    assert "drawn, sha256 " + "1" * 64 in text
    assert "<dt>stain</dt><dd>as of H&amp;E</dd>" in text
    area = np.pi * 9 * 6 * 0.25
    assert f"plasma: {count}, median {area:.1f} µm²" in text


def test_cohort_report_links_to_slides_and_names_failures(pictured):
    text = write_cohort_report(pictured, SlideShelf()).read_text(encoding="utf-8")
    links = [address for address in Page(text).asked if not address.startswith("data:")]
    assert links == [f"{NAME}/report.html"]
    assert "3 slides, 1 done, 1 failed" in text
    assert "empty file; copy it again" in text


def test_links_lead_to_folders_whatever_their_names(pictured):
    names = ("50%25 #1?", "case #2", "ä&b")
    for name in names:
        shutil.copytree(pictured.root / NAME, pictured.root / name)
    text = write_cohort_report(pictured, SlideShelf()).read_text(encoding="utf-8")
    links = [urlsplit(address) for address in Page(text).asked if not address.startswith("data:")]
    assert {unquote(link.path) for link in links} == {f"{name}/report.html" for name in (NAME, *names)}
    assert not any(link.query or link.fragment for link in links)


def test_objects_without_a_class_have_a_line_where_there_are_any(pictured, slide_file, tmp_path):
    folder = write_result(tmp_path / "unsure" / NAME, slide_file, found_nuclei=unsure_nuclei())
    shutil.copy(pictured.root / NAME / "overview.png", folder)
    text = write_slide_report(open_cohort(folder.parent), NAME, SlideShelf()).read_text(encoding="utf-8")
    figures = [int(n.replace(",", "")) for n in re.findall(r"<td>nucleus</td><td>([\d,]+)</td>", text)]
    count = (unsure_nuclei().codes < 0).sum()
    assert len(figures) == 7
    assert sum(figures) == len(nuclei().codes)
    assert re.search(rf"unclassified</th><td>nucleus</td><td>{count}</td>", text)
    assert f"unclassified: {count}, median" in text
    without = write_slide_report(pictured, NAME, SlideShelf()).read_text(encoding="utf-8")
    assert "unclassified" not in without


@pytest.mark.parametrize("place", ["header", "middle", "whole"])
def test_a_damaged_overview_is_said(pictured, place):
    path = pictured.root / NAME / "overview.png"
    content = path.read_bytes()
    torn = {
        "header": content[:20] + b"\xff" + content[21:],
        "middle": content[: len(content) // 2],
        "whole": b"",
    }
    path.write_bytes(torn[place])
    with pytest.raises(OutputError, match=r"^expected a picture of the slide, found a damaged file overview"):
        write_slide_report(pictured, NAME, SlideShelf())


def test_names_are_text_and_no_markup(pictured):
    folder = pictured.root / NAME
    evil = folder.rename(pictured.root / "<img src=x>")
    text = write_slide_report(pictured, evil.name, SlideShelf()).read_text(encoding="utf-8")
    assert "&lt;img src=x&gt;" in text
    assert "<img src=x>" not in text


def test_warnings(cohort, tmp_path):
    manifest = read_manifest(cohort / NAME)
    assert warnings_of(manifest, cohort / NAME) == []
    (tmp_path / "run.json").write_text(
        '{"configuration": {"mpp": 0.5, "cohort": [{"name": "a", "mpp": null}]}}'
    )
    assert warnings_of(manifest, tmp_path / "a") == ["The resolution, 0.5 um/px, was given by hand."]
    bare = replace(
        manifest,
        tissue_area_mm2=0.01,
        slide=manifest.slide | {"mpp": 1.0},
        counts={"gland": {"gland": 0}},
    )
    words = " ".join(warnings_of(bare, cohort / NAME))
    assert all(word in words for word in ("Little tissue", "Coarse slide", "kind gland"))


def test_histogram_holds_all_values():
    values = np.array([1, 10, 10, 100], np.float32)
    heights = [
        float(h)
        for h in re.findall(r'width="\d+\.\d" height="([\d.]+)"', histogram(values, "red", "a", "um2"))
    ]
    assert sum(heights) == pytest.approx(120 * 4 / 2)
    assert "none" in histogram(np.zeros(0, np.float32), "red", "a", "um2")
    assert "median 5.0" in histogram(np.array([5], np.float32), "red", "a", "um2")


def test_stack_has_the_shares():
    widths = [
        float(w)
        for w in re.findall(r'width="([\d.]+)" height', stacked({"muscle": 1, "stroma": 3, "debris": 0}))
    ]
    assert widths == [25, 75]
    assert "none" in stacked({})


def test_a_report_without_the_slide_says_that_its_stain_was_not_looked_at(pictured):
    folder = pictured.root / NAME
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, slide=manifest.slide | {"path": "/gone/x.tif"}))
    text = write_slide_report(pictured, NAME, SlideShelf()).read_text(encoding="utf-8")
    assert "not looked at, the slide was not found" in text
    assert "Unusual stain" not in text
