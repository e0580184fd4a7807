"""Which files of a store are one slide: its own, and those that its format keeps beside it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from histocerb.slides.listing import AT_ONCE, DICOM, head_of, series_of
from histocerb.slides.remote import RemoteFile, StoredFile, files_in, look, shown

_BESIDE = {".mrxs": None, DICOM: (DICOM,), ".vms": (".jpg", ".opt"), ".vmu": (".ngr", ".opt")}
"""Formats of many files: None for a folder of the slide's name, else endings of the files beside it."""


def slide_files(place: RemoteFile) -> tuple[StoredFile, ...]:
    """The files of a slide, the one that is opened first; they are the slide while each stays as it is.

    Raises:
        SlideError: It is not there, or the store cannot be read.
    """
    return look(place), *(look(file.place) for file in _beside(place))


def slide_bytes(place: RemoteFile) -> int:
    """What the files of a slide take; 0 where there is none, which is said when it is opened.

    Raises:
        SlideError: The store cannot be read. Processes that share slides by their sizes must see the same.
    """
    first = shown(place)
    return 0 if first is None else first.size + sum(file.size for file in _beside(place))


def _beside(place: RemoteFile) -> list[StoredFile]:
    kind = place.suffix.lower()
    if kind not in _BESIDE:
        return []
    endings = _BESIDE[kind]
    if endings is None:
        return files_in(place.parent / place.stem)
    found = [file for file in files_in(place.parent) if file.place.suffix.lower() in endings]
    if kind == DICOM:
        found = _of_its_series(place, found)
    return [file for file in found if file.place != place]


def _of_its_series(place: RemoteFile, files: Sequence[StoredFile]) -> list[StoredFile]:
    """Those of the same DICOM series, and those that may be: files whose beginnings do not say it."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        series = dict(zip(files, pool.map(_series, files), strict=True))
    own = next((series[file] for file in files if file.place == place), None)
    return [file for file in files if own is None or series[file] in (own, None)]


@lru_cache(maxsize=1 << 16)
def _series(file: StoredFile) -> str | None:
    """Read once for all slides of a folder, and again where a file was replaced."""
    return series_of(head_of(file.place))
