"""Anything an image file may hold, as 8-bit RGB."""

import logging
from pathlib import Path

import cv2
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


RGB = np.dstack([GREY, GREY[::-1], GREY.T])


@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("meaning", ["unspecified", "assocalpha", "unassalpha"])
def test_samples_besides_the_colours(
    meaning: str, compression: str | None, layout: str, tmp_path: Path
) -> None:
    """Opacity is laid on white, also where colours have been multiplied by it; other samples say nothing."""
    alpha = np.full((10, 10), 51, np.uint8)  # a fifth
    stored = RGB // 5 if meaning == "assocalpha" else RGB
    pixels = np.dstack([stored, alpha])
    pixels = np.moveaxis(pixels, 2, 0) if layout == "separate" else pixels
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, pixels, photometric="rgb", planarconfig=layout, extrasamples=[meaning], compression=compression
    )
    expected = RGB.astype(float) if meaning == "unspecified" else RGB / 5 + 204
    assert np.abs(read(path) - expected).max() <= 1


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_luma_and_chroma_without_jpeg(
    tile: tuple[int, int] | None, compression: str | None, tmp_path: Path
) -> None:
    picture = np.kron(RGB, np.ones((16, 16, 1), np.uint8))
    stored = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stored, photometric="ycbcr", compression=compression, tile=tile, subsampling=(1, 1)
    )
    found = open_slide(path, 0.5).read(Region(0, 0, 160, 160), 0.5)
    assert np.abs(found.astype(int) - picture).max() <= 2


@pytest.mark.parametrize("compression", ["webp", "jpeg2000", "jpegxl", "zstd", "lzw"])
def test_compressions_of_tiles(compression: str, tmp_path: Path) -> None:
    picture = np.kron(RGB, np.ones((20, 20, 1), np.uint8))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", compression=compression, tile=(64, 64))
    assert np.array_equal(open_slide(path, 0.5).read(Region(0, 0, 200, 200), 0.5), picture)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_numbers_of_channels_are_refused(channels: int, tmp_path: Path) -> None:
    stack = np.stack([GREY] * channels)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, photometric="minisblack", metadata={"axes": "CYX"})
    with pytest.raises(SlideError, match=f"grey or three channels, found {channels}"):
        read(tmp_path / "a.ome.tif")


OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}">{images}</OME>"""
IMAGE = """<Image ID="Image:{k}"><Pixels ID="Pixels:{k}" DimensionOrder="XYCZT" Type="uint8" SizeX="{side}"
SizeY="{side}" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="{mpp}" PhysicalSizeY="{mpp}">
<Channel ID="Channel:{k}:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1">
<UUID FileName="{k}.ome.tif">urn:uuid:{k}</UUID></TiffData></Pixels></Image>"""


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_scenes_of_a_scan_in_files_of_their_own(compression: str | None, alone: bool, tmp_path: Path) -> None:
    """Each file has the OME-XML of all."""
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    sides, mpps, shades = (32, 48), (0.25, 0.5), (50, 200)
    images = "".join(IMAGE.format(k=k, side=sides[k], mpp=mpps[k]) for k in range(2))
    for k in range(2):
        pixels = np.full((sides[k], sides[k], 3), shades[k], np.uint8)
        xml = OME.format(own=k, images=images)
        tifffile.imwrite(
            tmp_path / f"{k}.ome.tif",
            pixels,
            photometric="rgb",
            compression=compression,
            tile=(16, 16),
            description=xml,
            metadata=None,
        )
    for k in (1,) if alone else (0, 1):
        if alone:
            (tmp_path / "0.ome.tif").unlink()
        slide = open_slide(tmp_path / f"{k}.ome.tif")
        assert (slide.width_px, slide.mpp) == (sides[k], mpps[k])
        assert (slide.read(Region(0, 0, sides[k], sides[k]), slide.mpp) == shades[k]).all()
        slide.close()


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
