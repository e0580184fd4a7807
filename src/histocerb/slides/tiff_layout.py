"""What a TIFF contains: its pyramid, how samples lie in it, its resolution."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tifffile

from histocerb.core.errors import SlideError
from histocerb.slides.pixels import Rgb8

_MOST_TAG_MPP = 10.0
"""Coarser resolution tags are about paper or screens (72 dpi is 353 um/px) and say nothing."""

_UM_PER_UNIT = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3}

_MINISWHITE, _PALETTE, _SEPARATED = 0, 3, 5
_PLAIN = (_MINISWHITE, 1, 2, _PALETTE, _SEPARATED, 6)
"""Photometric interpretations: also black is zero, RGB, and JPEG's YCbCr, which decodes to RGB."""
_YCBCR = 6
_COLOURS = {2: 3, _SEPARATED: 4, _YCBCR: 3}
"""Samples of a colour, where it is not one."""
_KEEPS_COLOURS = (1, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions that know nothing of colours (none, LZW, deflate, PackBits, LZMA, ZSTD): YCbCr stays YCbCr."""
_PLAIN_DATA = 1
_OF_OPENSLIDE = (_PLAIN_DATA, 5, 7, 8, 32773, 32946, 50000)
"""Compressions of tiles that OpenSlide reads: these and JPEG, but LZMA."""
_LIBTIFF_BYTES = 1024
"""OpenSlide's libtiff reads so many bytes at a time; it refuses uncompressed tiles that end within them."""
_ASSOCIATED, _STRAIGHT = 1, 2
"""Meanings of a sample besides the colours: opacity, by which these have been multiplied or have not."""


@dataclass(frozen=True)
class Plane:
    """One level of a TIFF.

    Attributes:
        width: in pixels.
        height: in pixels.
        segment_width: of a tile; the image's width for strips.
        segment_height: of a tile or strip.
        channels: pages with the shift of their segment numbers, one per group of samples that is
            stored together.
        palette: 256 or 65536 x 3 colours, or None.
        inverted: True when 0 is white.
        cmyk: True when samples are inks.
        ycbcr: True when samples are luma and chroma still after they are decoded.
        samples: those that count, the first ones: colours, and opacity where it is said to be that.
        premultiplied: True where colours have been multiplied by the opacity.
        mapped: all pixels, where they lie in the file as they are.
    """

    width: int
    height: int
    segment_width: int
    segment_height: int
    channels: tuple[tuple[tifffile.TiffPage, int], ...]
    palette: Rgb8 | None
    inverted: bool
    cmyk: bool
    ycbcr: bool
    samples: int
    premultiplied: bool
    mapped: npt.NDArray[np.generic] | None


def pyramid_of(file: tifffile.TiffFile, path: str) -> tuple[Plane, ...]:
    """Levels of the first image that lies in this file, finest first.

    Raises:
        SlideError: there is none, it is not one plane of grey or colour, or the file ends before its pixels.
    """
    if not file.pages:
        raise SlideError(f"{path}: expected an image, found a TIFF without pages; copy it again")
    series = next((one for one in file.series if _is_in(file, one)), None)
    if series is None:
        raise SlideError(
            f"{path}: expected an image, found one of which parts are in other files; export it to one file"
        )
    if series.axes not in ("YX", "YXS", "SYX", "CYX"):
        raise SlideError(
            f"{path}: expected one grey or RGB plane, found axes {series.axes} of shape {series.shape}; "
            "export that plane as an RGB TIFF"
        )
    levels = [[page.aspage() for page in level.pages if page is not None] for level in series.levels]
    if len(levels) == 1 and len(levels[0]) == 1:
        levels += [[page] for page in _reduced(file, levels[0][0])]
    planes = [_plane(pages, path) for pages in levels]
    return tuple(sorted(planes, key=lambda plane: -plane.width))


def is_plain_colour(path: str) -> bool:
    """True for a complete tiled TIFF of 8-bit RGB or YCbCr that is no OME-TIFF and that OpenSlide decodes."""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            colour = page.samplesperpixel == 3 and page.bitspersample == 8 and page.photometric in (2, 6)
            known = page.compression in _OF_OPENSLIDE and page.is_tiled and not file.is_ome
            return colour and known and all(map(_libtiff_takes, pyramid_of(file, path)))
    except Exception:  # whatever a damaged header makes of it: the TIFF backend says what is wrong
        return False


def _libtiff_takes(plane: Plane) -> bool:
    """False for uncompressed tiles of a size that it refuses, or with other bytes than those of pixels."""
    for page, _ in plane.channels:
        stored = 1 if int(page.planarconfig) == 2 else page.samplesperpixel
        size = plane.segment_width * plane.segment_height * stored
        exact = size % _LIBTIFF_BYTES == 0 and {0, size}.issuperset(page.databytecounts)
        if page.compression == _PLAIN_DATA and not exact:
            return False
    return True


def mpp_from_tags(path: str) -> tuple[float, float] | None:
    """`mpp_of` the file at `path`."""
    with tifffile.TiffFile(path) as file:
        return mpp_of(file)


def mpp_of(file: tifffile.TiffFile) -> tuple[float, float] | None:
    """Micrometres per pixel along x and y, from OME-XML, ImageJ or the resolution tags; None when unknown."""
    if file.is_ome and file.ome_metadata:
        return _ome_mpp(file.ome_metadata)
    tags = file.pages.first.tags
    across, down = _per_unit(tags.get("XResolution")), _per_unit(tags.get("YResolution"))
    unit = _unit_um(file)
    if across is None or down is None or unit is None:
        return None
    mpp = unit / across, unit / down
    return mpp if max(mpp) <= _MOST_TAG_MPP else None


def _is_in(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    """False for an image of which something lies in another file, as the OME-XML of several has them all."""
    return all(page is None or page.parent is file for level in series.levels for page in level.pages)


def _reduced(file: tifffile.TiffFile, base: tifffile.TiffPage) -> list[tifffile.TiffPage]:
    """Further pages that are the first one at lower resolution: same layout and proportions."""
    found = []
    for page in file.pages[1:]:
        page = page.aspage()
        if page.dtype != base.dtype or page.photometric != base.photometric or page.axes != base.axes:
            continue
        factor = base.imagewidth / max(1, page.imagewidth)
        alike = factor > 1.2 and abs(base.imagelength / factor - page.imagelength) <= 1.5
        if alike and (page.is_reduced or (base.is_tiled and page.is_tiled)):
            found.append(page)
    return found


def _plane(pages: Sequence[tifffile.TiffPage], path: str) -> Plane:
    page = pages[0]
    if page.photometric not in _PLAIN or page.imagedepth != 1:
        raise SlideError(
            f"{path}: expected grey, RGB, palette or CMYK pixels, found photometric {page.photometric}; "
            "convert it to RGB"
        )
    ycbcr = page.photometric == _YCBCR and page.compression in _KEEPS_COLOURS
    if ycbcr and tuple(page.subsampling or ()) not in ((), (1, 1)):
        raise SlideError(f"{path}: expected RGB, found subsampled YCbCr without JPEG; convert it to RGB")
    samples, premultiplied = _samples(pages, path)
    width, height = page.imagewidth, page.imagelength
    segment = (page.tilewidth, page.tilelength) if page.is_tiled else (width, min(page.rowsperstrip, height))
    count = -(-width // segment[0]) * -(-height // segment[1])
    separate = int(page.planarconfig) == 2
    channels = [(one, count * n) for one in pages for n in range(page.samplesperpixel if separate else 1)]
    _check_complete(pages, count, path)
    if len(channels) > 1:
        channels = channels[:samples]
    return Plane(
        width,
        height,
        segment[0],
        segment[1],
        tuple(channels),
        _palette(page),
        page.photometric == _MINISWHITE,
        page.photometric == _SEPARATED,
        ycbcr,
        samples,
        premultiplied,
        _mapped(pages, separate),
    )


def _samples(pages: Sequence[tifffile.TiffPage], path: str) -> tuple[int, bool]:
    """How many samples of a pixel are colours and opacity, and whether it multiplies them already."""
    if len(pages) not in (1, 3):
        raise SlideError(
            f"{path}: expected grey or three channels, found {len(pages)}; export them as an RGB TIFF"
        )
    if len(pages) == 3:
        return 3, False
    page = pages[0]
    extra = [int(meaning) for meaning in page.extrasamples]
    colours = _COLOURS.get(page.photometric, 3 if page.samplesperpixel > 2 else 1)
    rest = page.samplesperpixel - colours
    meaning = extra[0] if extra else _STRAIGHT
    has_opacity = rest > 0 and meaning in (_ASSOCIATED, _STRAIGHT)
    return colours + has_opacity, has_opacity and meaning == _ASSOCIATED


def _mapped(pages: Sequence[tifffile.TiffPage], separate: bool) -> npt.NDArray[np.generic] | None:
    page = pages[0]
    if len(pages) > 1 or separate or page.dtype is None or not page.is_memmappable:
        return None
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    dtype = page.parent.byteorder + page.dtype.char
    return np.memmap(page.parent.filehandle.path, dtype, "r", page.dataoffsets[0], shape)


def _check_complete(pages: Sequence[tifffile.TiffPage], count: int, path: str) -> None:
    size = pages[0].parent.filehandle.size
    for page in pages:
        if len(page.dataoffsets) < count or len(page.dataoffsets) != len(page.databytecounts):
            raise SlideError(f"{path}: expected {count} tiles or strips, found fewer; copy the file again")
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)))
        if end > size:
            raise SlideError(
                f"{path}: expected {end} bytes, found {size}: the file is truncated; copy it again"
            )


def _palette(page: tifffile.TiffPage) -> Rgb8 | None:
    if page.photometric != _PALETTE or page.colormap is None:
        return None
    return np.ascontiguousarray((np.asarray(page.colormap) >> 8).astype(np.uint8).T)


def _ome_mpp(xml: str) -> tuple[float, float] | None:
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels") and _is_of(node, root)), None)
    if pixels is None:
        return None
    across, down = (_physical_um(pixels.attrib, axis) for axis in "XY")
    return None if across is None or down is None else (across, down)


def _is_of(pixels: ElementTree.Element, root: ElementTree.Element) -> bool:
    """False for an image of another file, where several files have the OME-XML of all."""
    where = {node.text for node in pixels.iter() if node.tag.endswith("}UUID")}
    return not where or root.get("UUID") in (None, *where)


def _physical_um(attributes: dict[str, str], axis: str) -> float | None:
    value = attributes.get(f"PhysicalSize{axis}")
    unit = _UM_PER_UNIT.get(attributes.get(f"PhysicalSize{axis}Unit", "µm").replace("\u03bc", "µ"))
    try:
        return None if value is None or unit is None else float(value) * unit
    except ValueError:
        return None


def _per_unit(tag: tifffile.TiffTag | None) -> float | None:
    """Pixels per unit of a resolution tag; None when absent or senseless."""
    if tag is None or not isinstance(tag.value, tuple) or len(tag.value) != 2:
        return None
    numerator, denominator = tag.value
    return numerator / denominator if numerator > 0 and denominator > 0 else None


def _unit_um(file: tifffile.TiffFile) -> float | None:
    """Length of the unit of the resolution tags in micrometres."""
    if file.is_imagej and file.imagej_metadata:
        unit = str(file.imagej_metadata.get("unit", "")).replace("\\u00B5", "µ")
        if unit in _UM_PER_UNIT:
            return _UM_PER_UNIT[unit]
    tag = file.pages.first.tags.get("ResolutionUnit")
    return {2: 25400.0, 3: 10000.0}.get(int(tag.value)) if tag is not None else None
