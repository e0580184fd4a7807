"""Plain TIFF and OME-TIFF through tifffile: tiled or in strips, with or without a pyramid."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tifffile

from histocerb.core.errors import CorruptSlideError, SlideError
from histocerb.core.geometry import Region
from histocerb.slides.fingerprint import file_fingerprint
from histocerb.slides.pixels import Rgb8, cmyk_to_rgb, rgb8, ycbcr_to_rgb
from histocerb.slides.pyramid import Level, corrupt
from histocerb.slides.tiff_layout import Plane, mpp_of, pyramid_of

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CACHE_BYTES = 96 << 20
_MOST_CACHE_BYTES = 1 << 30
"""Of strips as wide as the slide: every window of a row of windows needs all of the row's strips."""

log = logging.getLogger(__name__)


def detect(path: str) -> bool:
    """True for a TIFF or BigTIFF by its first bytes."""
    with open(path, "rb") as file:
        return file.read(4) in _MAGIC


@dataclass
class _Handle:
    """An open file, its levels, segments that were decoded lately, and bytes of the strips of a window."""

    pid: int
    file: tifffile.TiffFile
    planes: tuple[Plane, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)
    segments: OrderedDict[tuple[int, int], Rgb8] = field(default_factory=OrderedDict)
    held_bytes: int = 0
    band_bytes: int = 0


class TiffSource:
    """Levels of a TIFF. Only the tiles or strips that a region needs are decoded."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._handle: _Handle | None = None
        self._told = False
        handle = self._open()
        self.vendor = "ome-tiff" if handle.file.is_ome else "tiff"
        self.origin_px = (0, 0)
        self.mpp_xy = mpp_of(handle.file)
        self.levels = tuple(Level(plane.width, plane.height) for plane in handle.planes)

    def pixels(self, level: int, region: Region) -> Rgb8:
        """Pixels of a region of one level; see `LevelSource`."""
        handle = self._open()
        plane = handle.planes[level]
        if plane.mapped is not None:
            return self._mapped(plane, plane.mapped, region)
        out = np.empty((region.height, region.width, 3), np.uint8)
        segments = list(_segments(plane, region))
        if plane.segment_width >= plane.width:
            self._make_room(handle, segments)
        for index, place in segments:
            part = place.intersect(region)
            out[part.slices(region)] = self._segment(handle, level, index, place)[part.slices(place)]
        return out

    def fingerprint(self) -> str:
        """Hash of the file."""
        return file_fingerprint(self.path, self.levels[0].width, self.levels[0].height)

    def close(self) -> None:
        """Close the file and free decoded tiles; a later read opens it again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.file.close()

    def _mapped(self, plane: Plane, mapped: npt.NDArray[np.generic], region: Region) -> Rgb8:
        return _colour(np.asarray(mapped[region.slices()]), plane, self.path)

    def _make_room(self, handle: _Handle, segments: list[tuple[int, Region]]) -> None:
        """Let the cache hold these strips, which the windows beside this one need, too."""
        band_bytes = sum(3 * place.width * place.height for _, place in segments)
        with handle.lock:
            if band_bytes <= _MOST_CACHE_BYTES:
                handle.band_bytes = max(handle.band_bytes, band_bytes)
            elif len(segments) > 1 and not self._told:
                self._told = True
                log.warning(
                    "%s: its strips are %d px wide, too much to keep those of a window; each window decodes "
                    "them again, and a tiled copy of the slide is read many times faster",
                    self.path,
                    segments[0][1].width,
                )

    def _segment(self, handle: _Handle, level: int, index: int, place: Region) -> Rgb8:
        """One tile or strip as RGB, from the cache or decoded outside the lock."""
        key = (level, index)
        with handle.lock:
            if key in handle.segments:
                handle.segments.move_to_end(key)
                return handle.segments[key]
        try:
            pixels = self._decode(handle, handle.planes[level], index, place)
        except (CorruptSlideError, MemoryError):
            raise
        except Exception as error:  # decoders raise anything on damaged data
            raise corrupt(self, level, place, str(error) or type(error).__name__) from None
        most_bytes = max(_CACHE_BYTES, handle.band_bytes)
        with handle.lock:
            if key not in handle.segments:
                handle.segments[key] = pixels
                handle.held_bytes += pixels.nbytes
            while handle.held_bytes > most_bytes and len(handle.segments) > 1:
                handle.held_bytes -= handle.segments.popitem(last=False)[1].nbytes
        return pixels

    def _decode(self, handle: _Handle, plane: Plane, index: int, place: Region) -> Rgb8:
        parts = []
        for page, shift in plane.channels:
            number = index + shift
            offset, size = page.dataoffsets[number], page.databytecounts[number]
            if not offset or not size:  # a sparse file leaves out what is empty
                return np.full((place.height, place.width, 3), 255, np.uint8)
            with handle.lock:
                handle.file.filehandle.seek(offset)
                data = handle.file.filehandle.read(size)
            if len(data) != size:
                raise ValueError("the file ends early")
            decoded = page.decode(data, number, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0]
            parts.append(np.asarray(decoded)[0, : place.height, : place.width])
        pixels = np.concatenate(parts, axis=2)
        if pixels.shape[:2] != (place.height, place.width):
            raise ValueError(f"expected {place.height} x {place.width} px, found {pixels.shape[:2]}")
        return _colour(pixels, plane, self.path)

    def _open(self) -> _Handle:
        handle = self._handle
        if handle is None or handle.pid != os.getpid():  # a forked process must not share file positions
            handle = self._handle = _open(self.path)
            weakref.finalize(self, handle.file.close)
        return handle

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_handle": None}


def _open(path: str) -> _Handle:
    try:
        file = tifffile.TiffFile(path)
    except Exception as error:  # whatever a damaged header makes of it
        raise SlideError(
            f"{path}: the TIFF cannot be opened ({error}); it is damaged, copy it again"
        ) from None
    try:
        return _Handle(os.getpid(), file, pyramid_of(file, path))
    except SlideError:
        file.close()
        raise
    except Exception as error:  # as above
        file.close()
        raise SlideError(f"{path}: the TIFF's structure is damaged ({error}); copy it again") from None


def _segments(plane: Plane, region: Region) -> Iterator[tuple[int, Region]]:
    """Index and place of the tiles or strips that a region touches."""
    columns = -(-plane.width // plane.segment_width)
    bounds = Region(0, 0, plane.width, plane.height)
    for row in range(region.y // plane.segment_height, -(-region.bottom // plane.segment_height)):
        for column in range(region.x // plane.segment_width, -(-region.right // plane.segment_width)):
            x, y = column * plane.segment_width, row * plane.segment_height
            place = Region(x, y, plane.segment_width, plane.segment_height).intersect(bounds)
            yield row * columns + column, place


def _colour(pixels: npt.NDArray[np.generic], plane: Plane, path: str) -> Rgb8:
    """Stored samples to RGB, by the photometric interpretation."""
    pixels = pixels[..., : plane.samples]
    if plane.palette is not None:
        return np.asarray(plane.palette[pixels.reshape(pixels.shape[:2])], np.uint8)
    if plane.inverted:
        pixels = np.invert(pixels)
    if plane.cmyk:
        return cmyk_to_rgb(pixels.astype(np.uint8, copy=False))
    if plane.ycbcr:
        return ycbcr_to_rgb(rgb8(pixels, path))
    return rgb8(pixels, path, premultiplied=plane.premultiplied)
