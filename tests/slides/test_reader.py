"""Every backend through the one door: exact pixels, any cut, threads, pickles, errors."""

import logging
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histocerb.core.errors import CorruptSlideError, ResolutionError, SlideError
from histocerb.core.geometry import Region
from histocerb.slides import tiff_backend
from histocerb.slides.reader import Slide, open_slide, working_mpp
from histocerb.slides.tiff_backend import TiffSource

KINDS = ("svs", "pyramid", "ome", "strips", "flat", "separate", "png", "jpeg", "array")
LOSSLESS = ("pyramid", "ome", "strips", "flat", "separate", "png", "array")
WHOLE = Region(0, 0, 701, 530)


@pytest.fixture(scope="module")
def slides(slide_files: dict[str, Path], picture: np.ndarray) -> dict[str, Slide]:
    opened = {name: open_slide(path, 0.5) for name, path in slide_files.items()}
    return {**opened, "array": open_slide(picture, 0.5)}


@pytest.mark.parametrize("kind", KINDS)
def test_level_0_is_the_picture(kind: str, slides: dict[str, Slide], picture: np.ndarray) -> None:
    slide = slides[kind]
    assert (slide.width_px, slide.height_px, slide.mpp) == (701, 530, 0.5)
    difference = np.abs(slide.read(WHOLE, 0.5).astype(int) - picture)
    assert difference.max() == 0 if kind in LOSSLESS else difference.mean() < 12


@pytest.mark.parametrize(
    ("kind", "vendor"),
    [
        ("svs", "aperio"),
        ("pyramid", "generic-tiff"),
        ("ome", "ome-tiff"),
        ("strips", "tiff"),
        ("flat", "tiff"),
    ],
)
def test_mpp_comes_from_the_file(kind: str, vendor: str, slide_files: dict[str, Path]) -> None:
    slide = open_slide(slide_files[kind])
    assert (slide.mpp, slide.vendor) == (pytest.approx(0.5), vendor)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    mpp=st.sampled_from([0.5, 1.0, 0.99, 0.4, 1.3, 2.0, 2.05, 4.7, 9.0]),
    cut=st.tuples(*[st.integers(0, 260)] * 4),
    corner=st.tuples(*[st.integers(-40, 500)] * 2),
)
def test_a_part_equals_the_cut_of_the_whole(
    kind: str, mpp: float, cut: tuple[int, ...], corner: tuple[int, int], slides: dict[str, Slide]
) -> None:
    outer = Region(corner[0], corner[1], 300, 280)
    inner = Region(corner[0] + cut[0], corner[1] + cut[1], 1 + cut[2] % 40, 1 + cut[3] % 20).intersect(outer)
    slide = slides[kind]
    whole = slide.read(outer, mpp)
    assert np.array_equal(slide.read(inner, mpp), whole[inner.slices(outer)])


@pytest.mark.parametrize("kind", ["array", "strips", "flat"])
def test_reduction_is_the_mean_of_covered_pixels(
    kind: str, slides: dict[str, Slide], picture: np.ndarray
) -> None:
    got = slides[kind].read(Region(0, 0, 350, 265), 1.0)
    sums = picture[:530, :700].reshape(265, 2, 350, 2, 3).astype(int).sum(axis=(1, 3))
    assert np.array_equal(got, (sums + 2) // 4)


def test_white_outside_on_all_sides(slides: dict[str, Slide], picture: np.ndarray) -> None:
    for kind in KINDS:
        got = slides[kind].read(Region(-3, -2, 707, 534), 0.5)
        assert (got[:2] == 255).all()
        assert (got[-2:] == 255).all()
        assert (got[:, :3] == 255).all()
        assert (got[:, -3:] == 255).all()
        assert np.array_equal(got[2:-2, 3:-3], slides[kind].read(WHOLE, 0.5))
    assert (slides["array"].read(Region(5000, 0, 4, 4), 0.5) == 255).all()


def test_a_coarse_level_is_used_and_lies_right(slides: dict[str, Slide]) -> None:
    fine = slides["array"].read(Region(0, 0, 175, 132), 2.0).astype(int)
    for kind in ("svs", "pyramid"):
        assert np.abs(slides[kind].read(Region(0, 0, 175, 132), 2.0) - fine).mean() < 4


def test_size_and_thumbnail(slides: dict[str, Slide]) -> None:
    slide = slides["array"]
    assert slide.size_at(1.0) == (351, 265)
    assert slide.size_at(1000.0) == (1, 1)
    assert slide.thumbnail(100).shape == (76, 100, 3)
    assert slide.thumbnail(5000).shape == (530, 701, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_pickle_and_close_reopen(kind: str, slides: dict[str, Slide]) -> None:
    slide = slides[kind]
    expected = slide.read(Region(100, 50, 90, 80), 0.7)
    copy = pickle.loads(pickle.dumps(slide))
    slide.close()
    for again in (copy, slide):
        assert np.array_equal(again.read(Region(100, 50, 90, 80), 0.7), expected)
    if kind != "array":
        assert len(pickle.dumps(slide)) < 5000
    copy.close()


@pytest.mark.parametrize("kind", ["svs", "ome", "strips", "png"])
def test_threads_read_the_same(kind: str, slides: dict[str, Slide]) -> None:
    slide = slides[kind]
    regions = [Region(x, y, 120, 110) for y in range(0, 500, 100) for x in range(0, 700, 100)] * 2
    expected = [slide.read(region, 0.8) for region in regions]
    slide.close()
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda region: slide.read(region, 0.8), regions))
    assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", ["svs", "strips"])
def test_a_forked_process_reads_for_itself(kind: str, slides: dict[str, Slide]) -> None:
    slide = slides[kind]
    expected = slide.read(Region(0, 0, 300, 200), 0.5)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(slide.read(Region(0, 0, 300, 200), 0.5), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_strips_are_decoded_once_for_windows_side_by_side(
    slide_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decoded: list[int] = []
    decode = TiffSource._decode

    def counted(self: TiffSource, handle: Any, plane: Any, index: int, place: Region) -> np.ndarray:
        decoded.append(index)
        return decode(self, handle, plane, index, place)

    monkeypatch.setattr(TiffSource, "_decode", counted)
    monkeypatch.setattr(tiff_backend, "_CACHE_BYTES", 1 << 16)
    slide = open_slide(slide_files["strips"])
    for y, x in product((0, 200), (0, 200, 400)):
        slide.read(Region(x, y, 300, 250), 0.5)
    assert sorted(decoded) == list(range(-(-450 // 7)))
    assert not caplog.messages
    decoded.clear()
    monkeypatch.setattr(tiff_backend, "_MOST_CACHE_BYTES", 1 << 18)
    slide = open_slide(slide_files["strips"])
    for x in (0, 200, 400):
        slide.read(Region(x, 0, 300, 250), 0.5)
    assert len(decoded) == 3 * -(-250 // 7)
    assert len(caplog.messages) == 1
    assert "strips are 701 px wide" in caplog.text


@pytest.mark.parametrize(
    ("tile", "more", "vendor"), [(256, 0, "generic-tiff"), (240, 0, "tiff"), (256, 64, "tiff")]
)
def test_uncompressed_tiles_of_any_size_are_read(
    tile: int, more: int, vendor: str, picture: np.ndarray, tmp_path: Path
) -> None:
    """Those that OpenSlide refuses, too: of a size that it cannot take, or with bytes behind the pixels."""
    path, per_cm = tmp_path / "a.tif", (20000, 20000)
    tifffile.imwrite(path, picture, tile=(tile, tile), photometric="rgb", resolution=per_cm, resolutionunit=3)
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = file.pages.first.databytecounts
        file.pages.first.tags["TileByteCounts"].overwrite(tuple(count + more for count in counts))
    with path.open("ab") as end:
        end.write(bytes(more))
    slide = open_slide(path)
    assert slide.vendor == vendor
    assert np.array_equal(slide.read(WHOLE, 0.5), picture)


def test_fingerprint_is_of_the_content(
    slide_files: dict[str, Path], slides: dict[str, Slide], tmp_path: Path, picture: np.ndarray
) -> None:
    moved = tmp_path / "other name.svs"
    moved.write_bytes(slide_files["svs"].read_bytes())
    assert open_slide(moved).fingerprint() == slides["svs"].fingerprint()
    data = bytearray(moved.read_bytes())
    data[len(data) // 2] ^= 1
    moved.write_bytes(data)
    assert open_slide(moved).fingerprint() != slides["svs"].fingerprint()
    changed = picture.copy()
    changed[200, 200, 1] ^= 1
    assert open_slide(changed, 0.5).fingerprint() != slides["array"].fingerprint()
    assert len({slides[kind].fingerprint() for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", ["svs", "pyramid", "jpeg-ome"])
def test_a_corrupt_tile_is_named_and_others_are_read(
    kind: str, picture: np.ndarray, damaged: object, tmp_path: Path, slide_files: dict[str, Path]
) -> None:
    path = slide_files["svs"]
    if kind != "svs":
        name = "a.ome.tif" if kind == "jpeg-ome" else "a.tif"
        path = tmp_path / name
        tifffile.imwrite(path, picture, tile=(128, 128), compression="jpeg", photometric="rgb")
    slide = open_slide(damaged(path, 8), 0.5)  # type: ignore[operator]
    for _ in range(2):
        with pytest.raises(CorruptSlideError, match=r"x=\d+, y=\d+ \(level 0\)"):
            slide.read(Region(250, 130, 100, 100), 0.5)
        assert slide.read(Region(0, 0, 100, 100), 0.5).std() > 5
    regions = [Region(0, 0, 90, 90), Region(250, 130, 100, 100), Region(500, 0, 90, 90)] * 6
    with ThreadPoolExecutor(4) as pool:
        failed = list(pool.map(lambda region: _fails(slide, region), regions))
    assert failed == [False, True, False] * 6


def _fails(slide: Slide, region: Region) -> bool:
    try:
        slide.read(region, 0.5)
    except CorruptSlideError:
        return True
    return False


@pytest.mark.parametrize("kind", ["svs", "pyramid", "ome", "strips", "flat", "png", "jpeg"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.9])
def test_truncated_files_say_so(
    kind: str, share: float, slide_files: dict[str, Path], tmp_path: Path
) -> None:
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    data = slide_files[kind].read_bytes()
    path = tmp_path / slide_files[kind].name
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SlideError, match=path.name):
        open_slide(path, 0.5).read(WHOLE, 0.5)


def test_where_a_viewer_without_the_frame_begins(framed_slide: Path, slide_files: dict[str, Path]) -> None:
    slide = open_slide(framed_slide)
    assert (slide.vendor, slide.width_px, slide.mpp, slide.origin_px) == ("leica", 2048, 0.5, (700, 600))
    assert slide.read(Region(1200, 900, 1, 1), 0.5).tolist() == [[[60, 20, 90]]]
    assert open_slide(slide_files["svs"], 0.5).origin_px == (0, 0)


def test_what_is_no_slide(tmp_path: Path) -> None:
    (tmp_path / "empty.svs").touch()
    (tmp_path / "notes.txt").write_text("no image" * 100)
    (tmp_path / "header.tif").write_bytes(b"II*\0\xff\xff\xff\x7f")
    for name, words in [
        ("absent.svs", "no such file"),
        ("empty.svs", "empty file"),
        ("notes.txt", "no reader knows"),
        ("header.tif", "TIFF"),
        (".", "a folder"),
    ]:
        with pytest.raises(SlideError, match=words):
            open_slide(tmp_path / name, 0.5)
    with pytest.raises(SlideError, match="without a pixel"):
        open_slide(np.zeros((0, 5, 3), np.uint8), 0.5)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read anything")
def test_unreadable(slide_files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "locked.svs"
    path.write_bytes(slide_files["svs"].read_bytes())
    path.chmod(0)
    with pytest.raises(SlideError, match="rights"):
        open_slide(path)


def test_missing_and_wrong_resolutions(slide_files: dict[str, Path], tmp_path: Path) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    for name, per_cm in [("screen.tif", (28.35, 28.35)), ("print.tif", (236.2, 236.2))]:
        tifffile.imwrite(tmp_path / name, image, photometric="rgb", resolution=per_cm, resolutionunit=3)
        with pytest.raises(ResolutionError, match="--mpp"):
            open_slide(tmp_path / name)
        assert open_slide(tmp_path / name, 0.25).mpp == 0.25
    tifffile.imwrite(
        tmp_path / "b.tif", image, photometric="rgb", resolution=(20000, 40000), resolutionunit=3
    )
    with pytest.raises(ResolutionError, match=r"0\.5 x 0\.25"):
        open_slide(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", image, photometric="rgb", resolution=(1e6, 1e6), resolutionunit=3)
    with pytest.raises(ResolutionError, match=r"0\.01"):
        open_slide(tmp_path / "c.tif")
    for path in (slide_files["png"], slide_files["jpeg"]):
        with pytest.raises(ResolutionError, match="--mpp"):
            open_slide(path)
    for wrong in (0.0, -1.0, 50.0, float("nan")):
        with pytest.raises(ResolutionError):
            open_slide(image, wrong)
    with pytest.raises(SlideError, match="positive"):
        open_slide(image, 0.5).read(Region(0, 0, 1, 1), 0)


def test_dpi_of_a_photo_is_not_believed(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "dpi.jpg", dpi=(50800, 50800))
    with pytest.raises(ResolutionError, match="found none"):
        open_slide(tmp_path / "dpi.jpg")


@pytest.mark.parametrize(
    ("own", "worked"), [(0.499, 0.499), (0.2495, 0.499), (0.25, 0.5), (0.2, 0.5), (0.62, 0.5), (0.3, 0.5)]
)
def test_working_resolution(own: float, worked: float) -> None:
    assert working_mpp(own) == pytest.approx(worked)
    assert working_mpp(0.252) == pytest.approx(0.504)
    assert working_mpp(0.25, 1.0) == 1.0
