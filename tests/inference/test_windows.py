import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.geometry import Region, WindowGrid
from histocerb.inference.windows import mirrored, tissue_windows, window_image
from histocerb.slides.reader import open_slide
from histocerb.slides.tissue import TissueMask


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    before=st.tuples(st.integers(0, 25), st.integers(0, 25)),
    after=st.tuples(st.integers(0, 25), st.integers(0, 25)),
)
def test_mirrors_like_numpy_pads(size, before, after):
    pixels = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(*size, 3)
    inside = Region(50, 60, size[1], size[0])
    wanted = Region(
        50 - before[1], 60 - before[0], size[1] + before[1] + after[1], size[0] + before[0] + after[0]
    )
    padding = [*zip(before, after, strict=True), (0, 0)]
    expected = np.pad(pixels, padding, mode="symmetric")
    np.testing.assert_array_equal(mirrored(pixels, inside, wanted), expected)


def test_window_inside_the_slide_is_read_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (3100, 3100, 3), dtype=np.uint8)
    grid = WindowGrid.of(3100, 3100)
    window = grid.window(1, 1)
    found = window_image(open_slide(image, mpp=0.5), 0.5, grid, window)
    np.testing.assert_array_equal(found, image[856:2168, 856:2168])


def test_only_windows_with_tissue():
    cells = np.zeros((28, 42), np.bool_)
    cells[0, 13] = cells[27, 41] = True
    mask = TissueMask(cells, width=3000, height=2000, mpp=0.5)
    found = tissue_windows(WindowGrid.of(3000, 2000), mask)
    assert [(window.column, window.row) for window in found] == [(0, 0), (2, 1)]
