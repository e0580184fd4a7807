"""Anything an image file may hold, as 8-bit RGB."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from histocerb.core.errors import SlideError
from histocerb.core.geometry import Region
from histocerb.slides.pixels import rgb8
from histocerb.slides.reader import open_slide

GREY = np.arange(100, dtype=np.uint8).reshape(10, 10) * 2
ALL = Region(0, 0, 10, 10)


def read(path: Path) -> np.ndarray:
    return open_slide(path, 0.5).read(ALL, 0.5)


def test_arrays() -> None:
    grey = np.stack([GREY] * 3, axis=2)
    assert np.array_equal(rgb8(GREY, "a"), grey)
    assert np.array_equal(rgb8(grey, "a"), grey)
    assert np.array_equal(rgb8(GREY.astype(np.uint16) * 257, "a"), grey)
    assert set(np.unique(rgb8(GREY > 50, "a"))) == {0, 255}
    clear = np.dstack([grey, np.zeros((10, 10), np.uint8)])
    assert (rgb8(clear, "a") == 255).all()
    clear[..., 3] = 51
    assert np.array_equal(rgb8(clear, "a")[..., 0], np.rint(GREY * 0.2 + 255 * 0.8))
    for wrong in (grey.astype(np.float32), np.zeros((4, 4, 7), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(SlideError, match="expected"):
            rgb8(wrong, "a")


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16", "CMYK"])
def test_image_files(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    else:
        start = Image.fromarray(GREY)
        (start if mode == "P" else start.convert("RGB")).convert(mode).save(path, quality=100)
    got = read(path).astype(int)
    assert got.shape == (10, 10, 3)
    if mode == "1":
        assert set(np.unique(got)) == {0, 255}
    else:
        assert np.abs(got - GREY[..., None]).max() <= (3 if mode == "CMYK" else 0)


@pytest.mark.parametrize(("mode", "clear"), [("P", 0), ("L", 0), ("RGB", (0, 0, 0))])
def test_a_transparent_colour_is_laid_on_white(mode: str, clear: object, tmp_path: Path) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "a.png", transparency=clear)
    got = read(tmp_path / "a.png")
    assert (got[0, 0] == 255).all()
    assert np.array_equal(got[1:, :, 0], GREY[1:])


@pytest.mark.parametrize("kind", ["grey", "grey16", "inverted", "palette", "rgba", "cmyk", "tiled16"])
def test_tiff_samples(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    rgb = np.dstack([GREY] * 3)
    if kind == "grey":
        tifffile.imwrite(path, GREY, photometric="minisblack")
    elif kind == "grey16":
        tifffile.imwrite(path, GREY.astype(np.uint16) * 257, photometric="minisblack", byteorder=">")
    elif kind == "inverted":
        tifffile.imwrite(path, 255 - GREY, photometric="miniswhite", compression="deflate")
    elif kind == "palette":
        ramp = np.arange(256, dtype=np.uint16) * 257
        tifffile.imwrite(path, GREY, photometric="palette", colormap=np.stack([ramp] * 3))
    elif kind == "rgba":
        opaque = np.full((10, 10, 1), 255, np.uint8)
        tifffile.imwrite(path, np.dstack([rgb, opaque]), photometric="rgb", extrasamples=["unassalpha"])
    elif kind == "cmyk":
        inks = np.dstack([np.zeros_like(rgb), 255 - GREY])
        tifffile.imwrite(path, inks, photometric="separated")
    else:
        tifffile.imwrite(path, rgb.astype(np.uint16) * 257, photometric="rgb", tile=(16, 16))
    assert np.array_equal(read(path), rgb)


def test_stacks_are_refused_with_their_axes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "z.ome.tif", np.zeros((5, 8, 8), np.uint8), metadata={"axes": "ZYX"})
    with pytest.raises(SlideError, match="axes ZYX"):
        read(tmp_path / "z.ome.tif")
    tifffile.imwrite(tmp_path / "f.tif", GREY.astype(np.float32), photometric="minisblack")
    with pytest.raises(SlideError, match="float32"):
        read(tmp_path / "f.tif")


@pytest.mark.parametrize("samples", [1, 3])
def test_tiles_that_a_file_leaves_out_are_white(samples: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    black = np.zeros((16, 16, samples), np.uint8)
    shape = (32, 32, 3) if samples == 3 else (32, 32)
    kind = "rgb" if samples == 3 else "minisblack"
    parts = iter([black, None, black, None])
    tifffile.imwrite(path, parts, shape=shape, dtype=np.uint8, tile=(16, 16), photometric=kind, compression=8)
    got = open_slide(path, 0.5).read(Region(0, 0, 32, 32), 0.5)
    assert (got[:, :16] == 0).all()
    assert (got[:, 16:] == 255).all()


def test_plain_images_have_a_limit_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    limit = Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read(tmp_path / "a.png").shape == (10, 10, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    monkeypatch.setattr("histocerb.slides.array_backend._MOST_PIXELS", 99)
    with pytest.raises(SlideError, match="10 x 10; convert it to a tiled TIFF"):
        open_slide(tmp_path / "a.png", 0.5)
