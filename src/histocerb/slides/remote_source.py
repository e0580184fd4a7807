"""A remote slide behind the same protocol as a local one: read from a copy on the local disk.

OpenSlide reads local files only, and which of the readers takes a file decides about its pixels. So every
remote slide is copied, whatever its format, and gives the same bits as when it is read where it lies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from histocerb.core.errors import SlideError
from histocerb.core.geometry import Region
from histocerb.slides.pixels import Rgb8
from histocerb.slides.pyramid import Level, LevelSource
from histocerb.slides.remote import RemoteFile
from histocerb.slides.staging import Cache, Staged, stage

OpenFile = Callable[[str], LevelSource]
"""Opens a local file."""


class RemoteSource:
    """Levels of a slide in a store. After `close`, or in another process, it is copied again when needed."""

    def __init__(self, place: RemoteFile, cache: Cache, open_file: OpenFile) -> None:
        self.path = place.url
        self._place, self._cache, self._open_file = place, cache, open_file
        self._lock = threading.Lock()
        self._opened: tuple[Staged, LevelSource] | None = None
        levels = self._levels()
        self.vendor, self.mpp_xy, self.origin_px = levels.vendor, levels.mpp_xy, levels.origin_px
        self.levels: tuple[Level, ...] = levels.levels

    def pixels(self, level: int, region: Region) -> Rgb8:
        """Pixels of a region of one level; see `LevelSource`."""
        levels = self._levels()
        with self._named(levels.path):
            return levels.pixels(level, region)

    def fingerprint(self) -> str:
        """That of the copy: the same as where the slide lies on a local disk."""
        return self._levels().fingerprint()

    def close(self) -> None:
        """Close the copy, which may be removed then."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[1].close()
            opened[0].release()

    def _levels(self) -> LevelSource:
        with self._lock:
            if self._opened is None:
                staged = stage(self._place, self._cache)
                try:
                    with self._named(str(staged.path)):
                        self._opened = staged, self._open_file(str(staged.path))
                except BaseException:
                    staged.release()
                    raise
            return self._opened[1]

    @contextmanager
    def _named(self, copy: str) -> Iterator[None]:
        """Sentences name the slide, not its copy."""
        try:
            yield
        except SlideError as error:
            raise type(error)(str(error).replace(copy, self.path)) from None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None, "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update({**state, "_lock": threading.Lock()})
