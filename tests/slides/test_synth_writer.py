import errno
import os

import numpy as np
import openslide
import pytest

from histocerb.core.errors import OutputError
from histocerb.core.geometry import Region
from histocerb.slides.reader import open_slide
from histocerb.slides.synth import SynthConfig, SynthSlide
from histocerb.slides.synth.writer import halve, write_tiff


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    slide = SynthSlide(1300, 700, seed=9, config=SynthConfig(clean=True))
    path = tmp_path_factory.mktemp("slides") / "synth.tiff"
    shares = []
    write_tiff(slide, path, progress=shares.append, quality=92)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    return slide, path


def test_openslide_reads_size_levels_and_resolution(written):
    slide, path = written
    with openslide.OpenSlide(path) as opened:
        assert opened.dimensions == (slide.width_px, slide.height_px)
        assert opened.level_dimensions == ((1300, 700), (650, 350), (325, 175))
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert float(opened.properties["openslide.mpp-y"]) == pytest.approx(0.5)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_pixels_are_those_of_the_slide_up_to_jpeg(written, level):
    slide, path = written
    expected = slide.read(Region(0, 0, 1300, 700), 0.5)
    for _ in range(level):
        expected = halve(expected)
    with openslide.OpenSlide(path) as opened:
        found = np.asarray(opened.read_region((0, 0), level, opened.level_dimensions[level]).convert("RGB"))
    difference = np.abs(found.astype(int) - expected)
    assert difference.mean() < 3.5
    assert np.percentile(difference, 99.5) < 20


def test_our_reader_reads_it(written):
    slide, path = written
    opened = open_slide(path)
    assert (opened.width_px, opened.height_px) == (1300, 700)
    assert opened.mpp == pytest.approx(0.5)
    region = Region(1200, 600, 200, 200)
    difference = np.abs(opened.read(region, opened.mpp).astype(int) - slide.read(region, 0.5))
    assert difference.mean() < 2.5
    opened.close()


def test_only_the_finished_file_remains(written):
    _, path = written
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_reduced_levels_take_space_as_they_are_written(tmp_path):
    """So that a full disk is an error of the write that finds it full."""
    slide = open_slide(np.zeros((1500, 700, 3), np.uint8), mpp=0.5)

    def progress(_):
        sizes.append({file.name: file.stat().st_size for file in tmp_path.glob(".levels-*/*")})

    sizes = []
    write_tiff(slide, tmp_path / "a.tiff", progress)
    assert sizes == [{}, {"1.raw": 256 * 350 * 3}, {"1.raw": 512 * 350 * 3}]


def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("histocerb.slides.synth.writer.halve", full)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\); free space"):
        write_tiff(SynthSlide(600, 600, 1), tmp_path / "a.tiff")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_tiff(SynthSlide(10, 10, 1), tmp_path / "missing" / "a.tiff")


def test_halve_takes_means_and_repeats_the_last_pixel():
    image = np.array([[[0], [2], [9]], [[4], [6], [9]], [[8], [8], [1]]], np.uint8).repeat(3, axis=2)
    np.testing.assert_array_equal(halve(image)[..., 0], [[3, 9], [8, 1]])
