"""Levels: their true downsample and which one is read."""

import numpy as np
import pytest

from histocerb.core.geometry import Region
from histocerb.slides import pyramid
from histocerb.slides.pixels import Rgb8
from histocerb.slides.pyramid import Level, PyramidSlide, downsample


class Gradient:
    """A source whose pixels tell which level they come from."""

    path = "gradient"
    vendor = "test"
    mpp_xy = (0.25, 0.25)
    origin_px = (0, 0)

    def __init__(self, *levels: Level) -> None:
        self.levels = levels
        self.read: list[tuple[int, Region]] = []

    def pixels(self, level: int, region: Region) -> Rgb8:
        assert Region(0, 0, self.levels[level].width, self.levels[level].height).contains(region)
        self.read.append((level, region))
        return np.full((region.height, region.width, 3), 10 * level, np.uint8)

    def fingerprint(self) -> str:
        return ""

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("base", "reduced", "expected"),
    [
        ((4443, 3567), (2221, 1783), 2),
        ((2220, 2967), (277, 370), 8),
        ((2220, 2967), (34, 46), 64),
        ((2220, 2967), (1, 1), 2048),
        ((46000, 32914), (11500, 8228), 4),
        ((900, 600), (300, 200), 3),
        ((1000, 1000), (500, 500), 2),
        ((1000, 700), (1000, 700), 1),
    ],
)
def test_downsample_is_the_whole_factor_that_explains_both_sizes(
    base: tuple[int, int], reduced: tuple[int, int], expected: int
) -> None:
    assert downsample(Level(*base), Level(*reduced)) == (expected, expected)


def test_downsample_of_odd_pyramids_is_the_ratio() -> None:
    assert downsample(Level(1000, 900), Level(700, 630)) == (1000 / 700, 900 / 630)


def test_the_coarsest_fitting_level_is_read() -> None:
    source = Gradient(Level(800, 600), Level(400, 300), Level(100, 75))
    slide = PyramidSlide(source, 0.25)
    for mpp, level in [(0.2, 0), (0.25, 0), (0.49, 0), (0.5, 1), (1.9, 1), (2.0, 2), (20.0, 2)]:
        assert slide.read(Region(0, 0, 1, 1), mpp)[0, 0, 0] == 10 * level


def test_shifted_levels_are_for_overviews_only() -> None:
    source = Gradient(Level(800, 600), Level(400, 300), Level(200, 150, exact=False))
    slide = PyramidSlide(source, 0.25)
    assert slide.read(Region(0, 0, 1, 1), 1.0)[0, 0, 0] == 10
    assert slide.read(Region(0, 0, 1, 1), 16.0)[0, 0, 0] == 20


def test_a_level_that_lacks_its_last_pixels_continues() -> None:
    source = Gradient(Level(801, 601), Level(400, 300))
    slide = PyramidSlide(source, 0.25)
    assert slide.size_at(0.5) == (401, 301)
    assert (slide.read(Region(390, 290, 20, 20), 0.5)[:11, :11] == 10).all()
    assert (slide.read(Region(400, 300, 1, 1), 0.5) == 10).all()
    assert (slide.read(Region(401, 300, 1, 1), 0.5) == 255).all()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid, "_PIECE_PX", 10_000)
    source = Gradient(Level(5000, 4000))
    PyramidSlide(source, 0.25).read(Region(0, 0, 250, 200), 5.0)
    assert max(region.width * region.height for _, region in source.read) <= 10_000
    assert sum(region.width * region.height for _, region in source.read) == 5000 * 4000
