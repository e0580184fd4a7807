import shutil

import numpy as np
import pytest

from histocerb.core.errors import OutputError
from histocerb.core.geometry import Region, WindowGrid
from histocerb.core.tasks import CERBERUS
from histocerb.inference.canvas import Canvas
from histocerb.postproc.maps import reduce_mean

GRID = WindowGrid.of(1301, 2050)
NUCLEI, GLAND, TYPES, TISSUE = "nuclei.instance", "gland.instance", "gland.type", "tissue.patch"


def window_maps(seed):
    rng = np.random.default_rng(seed)
    side = GRID.output_px
    maps = {}
    for head in CERBERUS.heads:
        if head.kind == "instance":
            maps[head.name] = rng.integers(0, 256, (side, side, 2), dtype=np.uint8)
        elif head.kind == "type":
            maps[head.name] = rng.integers(0, len(head.channels), (side, side), dtype=np.uint8)
        else:
            maps[head.name] = rng.random((7, 7, len(head.channels)), dtype=np.float32)
    return maps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("canvas")


@pytest.fixture(scope="module")
def canvas(folder):
    """All windows but the last are written."""
    canvas = Canvas(folder, CERBERUS, GRID)
    for number, window in enumerate(list(GRID)[:-1]):
        canvas.write(window, window_maps(number))
    return canvas


def whole(head, channels):
    """The written windows of a head at the working resolution, clipped to the slide."""
    side = GRID.output_px
    out = np.zeros((GRID.rows * side, GRID.columns * side, *channels), np.uint8)
    for number, window in enumerate(list(GRID)[:-1]):
        out[window.output.slices()] = window_maps(number)[head]
    return out[: GRID.height, : GRID.width]


@pytest.mark.parametrize(
    "region", [Region(0, 0, 1301, 2050), Region(990, 1000, 40, 30), Region(1290, 2040, 60, 60)]
)
def test_reads_any_region(canvas, region):
    expected = np.zeros((region.height, region.width, 2), np.uint8)
    inside = region.intersect(GRID.bounds)
    expected[inside.slices(region)] = whole(NUCLEI, (2,))[inside.slices()]
    np.testing.assert_array_equal(canvas.read(NUCLEI, region), expected)


def test_reduced_maps_are_those_of_the_whole_slide(canvas):
    bounds = canvas.bounds(GLAND)
    assert (bounds.width, bounds.height) == (651, 1025)
    pixels = whole(GLAND, (2,))
    for channel in range(2):
        expected = reduce_mean(np.ascontiguousarray(pixels[..., channel]), 2)
        found = canvas.read(GLAND, bounds)[..., channel]
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(canvas.read(TYPES, bounds), whole(TYPES, ())[::2, ::2])


def test_tissue_cells(canvas):
    cells = canvas.tissue(TISSUE)
    assert cells.shape == (15, 10, 9)
    np.testing.assert_array_equal(cells[:7, :7], window_maps(0)[TISSUE])
    assert np.isnan(cells[14:, 7:]).all()
    assert not np.isnan(cells[:14]).any()


def test_opened_again_it_knows_what_is_complete(canvas, folder):
    again = Canvas(folder, CERBERUS, GRID)
    assert [again.is_complete(window) for window in GRID] == [True] * (len(GRID) - 1) + [False]
    region = Region(500, 500, 800, 800)
    np.testing.assert_array_equal(again.read(NUCLEI, region), canvas.read(NUCLEI, region))


def test_background_takes_no_room(tmp_path):
    canvas = Canvas(tmp_path, CERBERUS, GRID)
    maps = window_maps(0)
    maps[NUCLEI][:] = 0
    canvas.write(GRID.window(0, 0), maps)
    assert not list((tmp_path / "maps" / NUCLEI).rglob("c/0/*"))
    assert list((tmp_path / "maps" / GLAND).rglob("c/0/*"))


def test_damaged_maps_are_one_sentence(canvas, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    chunk = next(path for path in (tmp_path / "maps" / NUCLEI / "c").rglob("*") if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 255
    chunk.write_bytes(bytes(content))
    with pytest.raises(OutputError, match="run histocerb segment again"):
        Canvas(tmp_path, CERBERUS, GRID).read(NUCLEI, GRID.bounds)
