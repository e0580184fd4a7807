"""The slides that manifests name: found where they are now, and opened only if they are the same."""

from __future__ import annotations

import glob
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from histocerb.core.errors import HistocerbError, SlideError
from histocerb.inference.manifest import Manifest
from histocerb.slides.reader import Slide, open_slide
from histocerb.slides.remote import Place, RemoteFile, place

_MOST_OPEN = 8


class SlideShelf:
    """Open slides, the least recently used closed when there are too many; safe from several threads."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """An empty shelf.

        Args:
            folders: where to look for slides that are no longer at the place their manifest names.
        """
        self._folders = tuple(folders)
        self._open: OrderedDict[str, Slide] = OrderedDict()
        self._lock = threading.Lock()

    def slide(self, manifest: Manifest, folder: Path) -> Slide:
        """The slide of a result.

        Args:
            manifest: names it and its fingerprint.
            folder: of the result; slides beside it are found too.

        Raises:
            SlideError: It cannot be found.
        """
        key = str(manifest.slide["fingerprint"])
        with self._lock:
            if key not in self._open:
                self._open[key] = self._find(manifest, folder)
            self._open.move_to_end(key)
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            return self._open[key]

    def close(self) -> None:
        """Close all slides."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _find(self, manifest: Manifest, folder: Path) -> Slide:
        named = place(str(manifest.slide["path"]))
        others = 0
        for candidate in _places(named, folder, self._folders):
            slide = _opened(candidate, float(manifest.slide["mpp"]))
            if slide is not None and slide.fingerprint() == manifest.slide["fingerprint"]:
                return slide
            if slide is not None:
                slide.close()
                others += 1
        found = f"{others} of that name with other content" if others else "none"
        raise SlideError(
            f"expected the slide {named} of this result, found {found}; "
            "start the viewer with --slides and the folder where it is now"
        )


def _places(named: Place, folder: Path, folders: Sequence[Path]) -> Iterator[Place]:
    """Where the slide may be: the named place, beside the results, and anywhere below the given folders.

    A URL comes last: what it leads to would have to be copied here.
    """
    if isinstance(named, Path):
        yield named
    yield folder.parent / named.name
    yield folder.parent.parent / named.name
    for given in folders:
        yield from sorted(given.rglob(glob.escape(named.name)))
    if isinstance(named, RemoteFile):
        yield named


def _opened(path: Place, mpp: float) -> Slide | None:
    try:
        return open_slide(path, mpp)
    except (HistocerbError, OSError):
        return None
