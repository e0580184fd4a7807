import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.geometry import MARGIN_PX, WINDOW_OUTPUT_PX, Region, WindowGrid, tiles
from histocerb.core.tasks import CELL_PX

REGIONS = st.builds(
    Region, st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 15), st.integers(1, 15)
)


def pixels(region: Region) -> set[tuple[int, int]]:
    return {(x, y) for x in range(region.x, region.right) for y in range(region.y, region.bottom)}


@settings(max_examples=80, deadline=None)
@given(REGIONS, REGIONS)
def test_intersection_and_union_as_sets_of_pixels(a, b):
    assert pixels(a.intersect(b)) == pixels(a) & pixels(b)
    assert a.intersect(b).is_empty == (not pixels(a) & pixels(b))
    assert pixels(a.union(b)) >= pixels(a) | pixels(b)
    assert a.union(b).x in (a.x, b.x)
    assert a.union(b).bottom in (a.bottom, b.bottom)
    assert a.contains(b) == (pixels(b) <= pixels(a))


@settings(max_examples=30, deadline=None)
@given(REGIONS, st.integers(0, 9), st.integers(-9, 9), st.integers(-9, 9))
def test_grow_and_shift(region, margin, dx, dy):
    grown = region.grow(margin)
    assert (grown.x, grown.y, grown.width) == (
        region.x - margin,
        region.y - margin,
        region.width + 2 * margin,
    )
    assert grown.grow(-margin) == region
    assert pixels(region.shift(dx, dy)) == {(x + dx, y + dy) for x, y in pixels(region)}


def test_slices_are_rows_and_columns():
    image = np.zeros((10, 20))
    image[Region(3, 2, 5, 4).slices()] = 1
    assert np.argwhere(image).min(0).tolist() == [2, 3]
    assert image.sum() == 20
    rows, columns = Region(13, 102, 5, 4).slices(Region(10, 100, 20, 10))
    assert (rows, columns) == (slice(2, 6), slice(3, 8))


SIZES = st.integers(1, 5000)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES)
def test_windows_cover_the_slide_once(width, height):
    grid = WindowGrid.of(width, height)
    windows = list(grid)
    assert len(windows) == len(grid)
    assert sum(w.output.width * w.output.height for w in windows) >= width * height
    clipped = [w.output.intersect(grid.bounds) for w in windows]
    assert all(not region.is_empty for region in clipped)
    assert sum(region.width * region.height for region in clipped) == width * height
    assert len({(w.output.x, w.output.y) for w in windows}) == len(windows)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES)
def test_windows_are_whole_cells_and_inputs_fit_the_strides(width, height):
    grid = WindowGrid.of(width, height)
    assert grid.output_px <= WINDOW_OUTPUT_PX
    for window in grid:
        assert window.output.x % CELL_PX == window.output.width % CELL_PX == 0
        assert window.input == window.output.grow(MARGIN_PX)
        assert window.input.width % 16 == 0
        assert window.input.x % 16 == 8


@pytest.mark.parametrize(
    ("side", "output"), [(1, 144), (144, 144), (145, 288), (1008, 1008), (1009, 1008), (9999, 1008)]
)
def test_small_slides_have_small_windows(side, output):
    assert WindowGrid.of(side, 1).output_px == WindowGrid.of(1, side).output_px == output


@settings(max_examples=40, deadline=None)
@given(REGIONS, st.integers(1, 9))
def test_tiles_partition(bounds, side):
    parts = list(tiles(bounds, side))
    assert sum(len(pixels(p)) for p in parts) == len(pixels(bounds))
    assert set().union(*map(pixels, parts)) == pixels(bounds)
    assert all(p.width <= side and p.height <= side for p in parts)
    assert parts == sorted(parts, key=lambda p: (p.y, p.x))
