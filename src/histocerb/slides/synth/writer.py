"""A slide of any size to a pyramidal tiled TIFF, with bounded memory."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from histocerb.core.errors import OutputError
from histocerb.core.geometry import Region
from histocerb.slides.pixels import Rgb8
from histocerb.slides.reader import Slide

TILE_PX = 256
_SMALLEST_PX = 512
"""Levels are added until both sides are at most this."""
_BAND_PX = 512
"""Rows that are read at once: a whole number of tiles, and of a synthetic slide's blocks."""


def write_tiff(
    slide: Slide,
    path: str | Path,
    progress: Callable[[float], None] | None = None,
    quality: int = 90,
) -> None:
    """Write a slide as a generic tiled TIFF that OpenSlide and tifffile read with its resolution.

    Levels are halved by the mean of 2 x 2 pixels. The file is written under a temporary name beside `path`
    and renamed when complete. A band of rows of each level is held at most; reduced levels wait in a
    temporary file (a third of the slide's pixels, uncompressed).

    Args:
        slide: any slide, written at its own resolution.
        path: the file; an existing one is replaced.
        progress: called with the share done, 0..1.
        quality: of the JPEG tiles, 1..100.

    Raises:
        OutputError: the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".levels-") as folder:
            _write(slide, partial, Path(folder), progress or _silent, quality)
        os.replace(partial, target)
    except OSError as error:
        raise OutputError(
            f"{target}: the slide cannot be written ({error.strerror}); free space or choose another folder"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _silent(_: float) -> None:
    """No progress is shown."""


def _sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Width and height of each level."""
    sizes = [(width, height)]
    while max(sizes[-1]) > _SMALLEST_PX:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def _write(slide: Slide, path: Path, folder: Path, progress: Callable[[float], None], quality: int) -> None:
    sizes = _sizes(slide.width_px, slide.height_px)
    files = [folder / f"{level}.raw" for level in range(len(sizes))]
    per_centimetre = 1e4 / slide.mpp
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level, (width, height) in enumerate(sizes):
            rows = _source_rows(slide, progress) if level == 0 else _stored_rows(files[level], width, height)
            coarser = files[level + 1] if level + 1 < len(sizes) else None
            tiff.write(
                _tiles(_reduced_on_the_way(rows, coarser), quality),
                shape=(height, width, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(1, 1),
                compression="jpeg",
                resolution=(per_centimetre / 2**level, per_centimetre / 2**level),
                resolutionunit="CENTIMETER",
                subfiletype=0 if level == 0 else 1,
                metadata=None,
                software="histocerb" if level == 0 else None,
            )


def _source_rows(slide: Slide, progress: Callable[[float], None]) -> Iterator[Rgb8]:
    for y in range(0, slide.height_px, _BAND_PX):
        band = slide.read(Region(0, y, slide.width_px, min(_BAND_PX, slide.height_px - y)), slide.mpp)
        progress((y + len(band)) / slide.height_px)
        yield band


def _stored_rows(file: Path, width: int, height: int) -> Iterator[Rgb8]:
    for y in range(0, height, _BAND_PX):
        shape = min(_BAND_PX, height - y), width, 3
        yield np.fromfile(file, np.uint8, math.prod(shape), offset=y * width * 3).reshape(shape)


def _reduced_on_the_way(bands: Iterator[Rgb8], coarser: Path | None) -> Iterator[Rgb8]:
    """The same bands; before each is passed on, its reduced form is stored.

    It is written and not mapped: a full disk is an error of the write, and not the end of the process.
    """
    for band in bands:
        if coarser is not None:
            with coarser.open("ab") as file:
                file.write(halve(band).data)
        yield band


def _tiles(bands: Iterator[Rgb8], quality: int) -> Iterator[bytes]:
    """Encoded tiles in raster order; those at the border repeat the last pixels."""
    for band in bands:
        down, across = -len(band) % TILE_PX, -band.shape[1] % TILE_PX
        padded = np.pad(band, ((0, down), (0, across), (0, 0)), mode="edge")
        for y in range(0, len(padded), TILE_PX):
            for x in range(0, padded.shape[1], TILE_PX):
                tile = np.ascontiguousarray(padded[y : y + TILE_PX, x : x + TILE_PX])
                yield _encode(tile, quality)


def _encode(tile: Rgb8, quality: int) -> bytes:
    data = imagecodecs.jpeg8_encode(
        tile, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="444"
    )
    return bytes(data)


def halve(image: Rgb8) -> Rgb8:
    """Means of 2 x 2 pixels, rounded; an odd last row or column is repeated."""
    even = np.pad(image, ((0, len(image) % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge").astype(
        np.uint16
    )
    total = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)
