"""Slides as files: which names they have, and how large they are before any is opened."""

from __future__ import annotations

import os

from histocerb.slides.remote import Place, RemoteFile
from histocerb.slides.remote_slide import slide_bytes

_OPENSLIDE = (".bif", ".czi", ".dcm", ".mrxs", ".ndpi", ".scn", ".svs", ".svslide", ".vms", ".vmu")
_TIFF = (".btf", ".qptiff", ".tf2", ".tf8", ".tif", ".tiff")
_PLAIN = (".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".webp")

SLIDE_SUFFIXES = frozenset((*_OPENSLIDE, *_TIFF, *_PLAIN))
"""Endings of files that the readers open, in lower case. One that is named outright may have any other."""

_WITH_FOLDER = (".mrxs",)
"""Formats that keep their pixels in a folder of the same name."""


def is_slide_name(path: Place) -> bool:
    """True for a name that a slide may have; hidden files are none (`._a.svs` of macOS is no slide)."""
    return path.suffix.lower() in SLIDE_SUFFIXES and not path.name.startswith(".")


def stored_bytes(path: Place) -> int:
    """What a slide takes on disk, its companion folder included; 0 where there is no such file.

    Raises:
        SlideError: A store cannot be read.
    """
    if isinstance(path, RemoteFile):
        return slide_bytes(path)
    try:
        total = path.stat().st_size
        if path.suffix.lower() in _WITH_FOLDER:
            with os.scandir(path.with_suffix("")) as entries:
                total += sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0
    return total
