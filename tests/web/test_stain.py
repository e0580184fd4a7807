import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from browsing import CHROMIUM, watched
from drawn import MPP
from PIL import Image
from served import NAME, Client, start

from histocerb.inference.manifest import read_manifest, write_manifest
from histocerb.slides.reader import open_slide
from histocerb.slides.synth import SynthSlide
from histocerb.slides.synth.writer import write_tiff
from histocerb.web.report import write_cohort_report, write_slide_report
from histocerb.web.results import open_cohort
from histocerb.web.slides import SlideShelf
from histocerb.web.stain import unusual_stain

HAEMATOXYLIN, EOSIN = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
DAB = np.array([0.27, 0.57, 0.78])
ANILINE_BLUE = np.array([0.85, 0.51, 0.13])
"""Of Masson's trichrome; these four after Ruifrok and Johnston 2001."""


def stained(*dyes, side=160):
    """Glass with a disc of tissue in which each dye has its own blotches."""
    random = np.random.default_rng(0)
    row, column = np.mgrid[:side, :side]
    disc = np.hypot(row - side / 2, column - side / 2) < side * 0.4
    density = sum(dye * (random.random((side // 8, side // 8, 1)).repeat(8, 0).repeat(8, 1)) for dye in dyes)
    return np.round(245 * 10 ** -(density * disc[..., None])).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_synthetic_slides_are_stained_as_usual(seed):
    slide = SynthSlide(1000, 1000, seed)
    assert unusual_stain(slide.thumbnail(200)) == ""


@pytest.mark.parametrize("strength", [0.3, 1.0, 1.6])
def test_haematoxylin_and_eosin_in_any_strength_are_usual(strength):
    assert unusual_stain(stained(HAEMATOXYLIN * strength, EOSIN * strength / 2)) == ""


@pytest.mark.parametrize(
    ("picture", "word"),
    [
        (stained(HAEMATOXYLIN, DAB), "brown"),
        (stained(HAEMATOXYLIN * 0.5, DAB * 0.6), "brown"),
        (stained(ANILINE_BLUE, EOSIN * 0.2), "blue or green"),
        (stained(np.array([0.8, 0.2, 0.5])), "blue or green"),
        (stained(np.full(3, 0.6)), "grey"),
        (255 - stained(HAEMATOXYLIN, EOSIN), "dark ground"),
    ],
)
def test_other_stains_are_told(picture, word):
    assert word in unusual_stain(picture)
    assert unusual_stain(picture).startswith("Unusual stain:")


def test_too_little_says_nothing():
    empty = np.full((100, 100, 3), 244, np.uint8)
    empty[:10, :10] = (120, 90, 30)
    assert unusual_stain(empty) == ""


@pytest.fixture
def brown(cohort, tmp_path):
    """The cohort with a slide that is stained with DAB."""
    out = shutil.copytree(cohort, tmp_path / "trial")
    path = tmp_path / "brown.tif"
    write_tiff(open_slide(stained(HAEMATOXYLIN, DAB, side=600), MPP), path)
    slide = open_slide(path)
    about = {"path": str(path), "fingerprint": slide.fingerprint(), "width_px": 600, "height_px": 600}
    slide.close()
    manifest = read_manifest(out / NAME)
    write_manifest(out / NAME, replace(manifest, slide=manifest.slide | about))
    Image.new("RGB", (30, 20)).save(out / NAME / "overview.png")
    return out


def test_reports_warn(brown):
    shelf = SlideShelf()
    for report in (
        write_slide_report(open_cohort(brown), NAME, shelf),
        write_cohort_report(open_cohort(brown), shelf),
    ):
        assert "Unusual stain: the slide has brown" in report.read_text(encoding="utf-8")
    shelf.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; apt-get install chromium")
def test_the_viewer_warns(brown, context):
    link, stop = start(brown)
    assert "brown" in Client(link).json(f"api/slides/{NAME}/stain")["warning"]
    with watched(context, link) as browser:
        browser.page.get_by_text("Unusual stain: the slide has brown").wait_for()
        browser.open(f"#/slide/{NAME}")
        browser.page.get_by_role("status").get_by_text("Unusual stain").wait_for()
    stop()


def test_a_usual_slide_has_no_warning(ask):
    assert json.loads(ask(f"api/slides/{NAME}/stain").body) == {"warning": ""}
