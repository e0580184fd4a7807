"""Which of many files are slides: a slide of several files counts once.

The files of a DICOM series, one per level and more, are one slide, which OpenSlide opens from any of them;
the JPEG files that a Hamamatsu `.vms` names are its tiles.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from histocerb.core.errors import SlideError
from histocerb.slides.remote import Place, RemoteFile, file_system, reachable

DICOM = ".dcm"
_INDEX, _TILE = ".vms", (".jpg", ".jpeg")
_HEAD_BYTES = 1 << 16
AT_ONCE = 16
"""Heads of files that are read at the same time, from a store far away above all."""

_PREAMBLE = 128
_SERIES = (0x0020, 0x000E)
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Value representations with lengths of four bytes (DICOM PS3.5, 7.1.2)."""

_Some = TypeVar("_Some", bound=Place)


def one_per_slide(files: Sequence[_Some]) -> list[_Some]:
    """The files without those that belong to a slide which another of them stands for, in their order."""
    dicom = [file for file in files if file.suffix.lower() == DICOM]
    indices = [file for file in files if file.suffix.lower() == _INDEX]
    if len(dicom) < 2 and not indices:
        return list(files)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        heads = dict(zip((*dicom, *indices), pool.map(_head, (*dicom, *indices)), strict=True))
    seen: set[tuple[Place, str]] = set()
    kept = []
    for file in files:
        series = series_of(heads[file]) if file in heads and file not in indices else None
        if series is not None and (file.parent, series) in seen:
            continue
        if series is not None:
            seen.add((file.parent, series))
        if not _is_tile(file, indices, heads):
            kept.append(file)
    return kept


def series_of(head: bytes) -> str | None:
    """The SeriesInstanceUID in the first bytes of a DICOM file; None where they do not say it.

    Whole-slide images have explicit value representations (PS3.5, 7.1.2); of others nothing is said.
    """
    if head[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        return None
    place = _PREAMBLE + 4
    try:
        while True:
            tag, length, place = _element(head, place)
            if tag == _SERIES:
                return head[place : place + length].rstrip(b"\0 ").decode("ascii") or None
            if tag > _SERIES:
                return None
            place = _after(head, place, length)
    except (struct.error, UnicodeDecodeError):  # the head ends before, or this is another encoding
        return None


def _element(data: bytes, place: int) -> tuple[tuple[int, int], int, int]:
    """Tag, length and place of the value of the element (or item) at a place."""
    tag = struct.unpack_from("<HH", data, place)
    if tag[0] == _ITEM[0]:
        return tag, struct.unpack_from("<I", data, place + 4)[0], place + 8
    if data[place + 4 : place + 6] in _LONG:
        return tag, struct.unpack_from("<I", data, place + 8)[0], place + 12
    return tag, struct.unpack_from("<H", data, place + 6)[0], place + 8


def _after(data: bytes, place: int, length: int) -> int:
    """Where what follows a value begins; one of undefined length ends with a delimiter."""
    if length != _UNDEFINED:
        return place + length
    while True:
        tag, length, place = _element(data, place)
        if tag in (_ITEM_END, _SEQUENCE_END):
            return place
        place = _after(data, place, length)


def _is_tile(file: Place, indices: Sequence[Place], heads: Mapping[Any, bytes]) -> bool:
    beside = (index for index in indices if index.parent == file.parent)
    return file.suffix.lower() in _TILE and any(file.name.encode() in heads[index] for index in beside)


def head_of(file: Place) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: A local file cannot be read.
        SlideError: One of a store cannot be read.
    """
    if isinstance(file, RemoteFile):
        with reachable(file.url):
            fs, path = file_system(file.url)
            return bytes(fs.cat_file(path, start=0, end=_HEAD_BYTES))
    with file.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _head(file: Place) -> bytes:
    try:
        return head_of(file)
    except (OSError, SlideError):  # which is said when it is opened as a slide
        return b""
