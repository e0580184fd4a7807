"""Real slides, where they lie beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

from histocerb.core.errors import ResolutionError, SlideError
from histocerb.core.geometry import Region
from histocerb.slides.listing import one_per_slide
from histocerb.slides.reader import open_slide, working_mpp
from histocerb.slides.tissue import tissue_mask

OPENED = [
    ("CMU-1-Small-Region.svs", None, (2220, 2967), "aperio"),
    ("tcga-cr-7395-01a-01-ts1.svs", 0.25, (4443, 3567), "aperio"),
    ("fluorescence-test3.ndpi", None, (3968, 4864), "hamamatsu"),
    ("dicom-cmu-1-small-region/level-0-frames-0-30.dcm", None, (2220, 2967), "dicom"),
    ("kidney-48-5.tif", 0.5, (1493, 901), "tiff"),
]


@pytest.mark.parametrize(("name", "mpp", "size", "vendor"), OPENED)
def test_every_slide_reads_the_same_for_any_cut(
    name: str, mpp: float | None, size: tuple[int, int], vendor: str, real_data: Path
) -> None:
    slide = open_slide(real_data / "slides" / name, mpp)
    assert ((slide.width_px, slide.height_px), slide.vendor) == (size, vendor)
    for at in (working_mpp(slide.mpp), slide.mpp * 1.7, slide.mpp * 18):
        width, height = slide.size_at(at)
        outer = Region(-5, -5, min(width + 10, 700), min(height + 10, 500))
        inner = Region(outer.width // 3, outer.height // 3, 60, 50).intersect(outer)
        assert np.array_equal(slide.read(inner, at), slide.read(outer, at)[inner.slices(outer)])
    tissue_mask(slide)


def test_a_dicom_slide_of_many_files_is_one_slide(real_data: Path) -> None:
    files = sorted((real_data / "slides" / "dicom-cmu-1-small-region").glob("*.dcm"))
    assert len(files) > 1
    assert one_per_slide(files) == files[:1]


def test_dicom_colours_are_those_of_the_svs(real_data: Path) -> None:
    folder = real_data / "slides"
    svs = open_slide(folder / "CMU-1-Small-Region.svs")
    dicom = open_slide(folder / "dicom-cmu-1-small-region" / "level-0-frames-0-30.dcm")
    region = Region(700, 900, 800, 800)
    a, b = svs.read(region, svs.mpp).astype(int), dicom.read(region, dicom.mpp).astype(int)
    assert np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))).max() < 2
    assert np.abs(a - b).mean() < 6


def test_one_sentence_for_what_cannot_be_opened(real_data: Path) -> None:
    folder = real_data / "slides"
    with pytest.raises(SlideError, match="OpenSlide takes this for dicom"):
        open_slide(folder / "small_dicom.dcm")
    for name in ("tcga-cr-7395-01a-01-ts1.svs", "kidney-48-5.tif"):
        with pytest.raises(ResolutionError, match="--mpp"):
            open_slide(folder / name)


def test_tissue_of_real_images(real_data: Path) -> None:
    share = tissue_mask(open_slide(real_data / "slides" / "CMU-1-Small-Region.svs")).cells.mean()
    assert 0.4 < share < 0.6
    for path in sorted((real_data / "glas").glob("train_1*[0-9].png"))[:4]:
        assert tissue_mask(open_slide(path, 0.62)).cells.all()
    for kind in ("ADI", "MUC", "STR"):
        for path in (real_data / "tissue-tiles" / kind).iterdir():
            assert tissue_mask(open_slide(path, 0.5)).cells.all()
