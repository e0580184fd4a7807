import numpy as np
import pytest
import zarr

from histocerb.core.geometry import Region, WindowGrid
from histocerb.core.tasks import CERBERUS
from histocerb.inference.canvas import Canvas, DamagedMapsError
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


@pytest.mark.parametrize("head", [NUCLEI, GLAND, TYPES])
def test_maps_are_zarr_arrays(canvas, folder, head):
    array = zarr.open_array(folder / "maps" / head, mode="r")
    bounds = canvas.bounds(head)
    found = np.moveaxis(array[..., : bounds.height, : bounds.width], 0, -1 if array.ndim == 3 else 0)
    np.testing.assert_array_equal(found, canvas.read(head, bounds))


def test_cells_are_a_zarr_array(canvas, folder):
    found = zarr.open_array(folder / "maps" / TISSUE, mode="r")[:, :15, :10]
    np.testing.assert_array_equal(found.transpose(1, 2, 0), canvas.tissue(TISSUE))


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
    files = {
        head: sorted(path.name for path in (tmp_path / "maps" / head).iterdir()) for head in (NUCLEI, GLAND)
    }
    assert files == {NUCLEI: ["zarr.json"], GLAND: ["0.0.0", "zarr.json"]}


def flipped(content):
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


DAMAGES = {
    "flipped": flipped,
    "truncated": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "zeroed to four bytes": lambda content: bytes(4),
    "empty": lambda content: b"",
    "gone": lambda content: None,
}


def damage(path, how):
    content = DAMAGES[how](path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


SMALL = WindowGrid(140, 280, 144)


def small_maps(seed):
    rng = np.random.default_rng(seed)
    return {
        head.name: rng.random((1, 1, 9), np.float32)
        if head.kind == "patch"
        else rng.integers(1, 3, (SMALL.output_px, SMALL.output_px, *[2][: head.kind == "instance"]), np.uint8)
        for head in CERBERUS.heads
    }


@pytest.fixture
def small(tmp_path):
    canvas = Canvas(tmp_path, CERBERUS, SMALL)
    for number, window in enumerate(SMALL):
        canvas.write(window, small_maps(number))
    return canvas


FILES = {
    "nuclei": "maps/nuclei.instance/0.1.0",
    "types": "maps/gland.type/1.0",
    "tissue": "maps/tissue.patch/0.1.0",
    "marker": "windows/1-0",
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_window_that_is_damaged_when_work_is_taken_up_is_not_complete(small, tmp_path, file, how):
    damage(tmp_path / FILES[file], how)
    again = Canvas(tmp_path, CERBERUS, SMALL)
    assert [again.is_complete(window) for window in SMALL] == [True, False]
    assert not again.read(NUCLEI, Region(0, 144, 100, 100)).any()
    again.write(SMALL.window(0, 1), small_maps(1))
    assert all(map(Canvas(tmp_path, CERBERUS, SMALL).is_complete, SMALL))
    for head in (NUCLEI, GLAND, TYPES):
        np.testing.assert_array_equal(again.read(head, SMALL.bounds), small.read(head, SMALL.bounds))
    np.testing.assert_array_equal(again.tissue(TISSUE), small.tissue(TISSUE))


@pytest.mark.parametrize("how", ["flipped", "zeroed to four bytes", "gone"])
def test_window_that_is_damaged_later_is_an_error_and_no_longer_complete(small, tmp_path, how):
    read = {
        "nuclei": lambda canvas: canvas.read(NUCLEI, SMALL.bounds),
        "types": lambda canvas: canvas.read(TYPES, Region(0, 100, 10, 10)),
        "tissue": lambda canvas: canvas.tissue(TISSUE),
    }
    for name, look in read.items():
        canvas = Canvas(tmp_path, CERBERUS, SMALL)
        damage(tmp_path / FILES[name], how)
        with pytest.raises(DamagedMapsError, match=r"window 0, 1 .* run the same command again"):
            look(canvas)
        assert [canvas.is_complete(window) for window in SMALL] == [True, False]
        canvas.write(SMALL.window(0, 1), small_maps(1))
        look(canvas)


def test_other_files_beside_the_markers_do_no_harm(small, tmp_path):
    for name in ("0-0-0", "x-y", ".nfs00", "9-9"):
        (tmp_path / "windows" / name).write_text("{}")
    assert all(map(Canvas(tmp_path, CERBERUS, SMALL).is_complete, SMALL))
