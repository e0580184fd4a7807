"""Results that are being looked at: their index, outlines and slide, the latest kept open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from histocerb.core.errors import HistocerbError
from histocerb.core.tasks import TaskSpec
from histocerb.inference.manifest import Manifest, tasks_of
from histocerb.inference.tables import OBJECTS_FILE
from histocerb.slides.reader import Slide
from histocerb.web.index import ObjectIndex, read_index
from histocerb.web.outlines import OutlineReader, StoredGroups, stored_groups
from histocerb.web.queries import Orders
from histocerb.web.results import Cohort, own_file
from histocerb.web.slides import SlideShelf

_MOST_OBJECTS = 2_000_000
"""Objects of all results that are kept open; the one looked at is kept however large it is."""


@dataclass(frozen=True)
class Entry:
    """A result before its objects are read.

    Attributes:
        stamp: changes when the result does.
        manifest: what its folder says.
        folder: where it is.
    """

    stamp: str
    manifest: Manifest
    folder: Path


@dataclass(frozen=True)
class Opened(Entry):
    """A result that is being looked at.

    Attributes:
        index: its objects.
        outlines: of the objects.
        orders: sorted rows.
    """

    index: ObjectIndex
    outlines: OutlineReader
    orders: Orders = field(compare=False)

    @property
    def spec(self) -> TaskSpec:
        """Tasks of the model."""
        return self.index.spec


class Desk:
    """Opens the results of a cohort; safe from several threads."""

    def __init__(
        self, cohort: Cohort, slide_folders: Sequence[Path] = (), groups: StoredGroups | None = None
    ) -> None:
        """A desk with nothing open.

        Args:
            cohort: the results.
            slide_folders: where slides are now that have moved.
            groups: room for outlines that is shared with other desks; None: its own.
        """
        self.cohort = cohort
        self.groups = stored_groups() if groups is None else groups
        self._shelf = SlideShelf(slide_folders)
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()

    def entry(self, name: str) -> Entry:
        """What is known of a slide's result at once.

        Raises:
            UsageError: There is no such slide.
            OutputError: Its result is incomplete.
        """
        manifest, folder = self.cohort.manifest(name), self.cohort.folder(name)
        stat = own_file(folder, OBJECTS_FILE).stat()
        return Entry(f"{stat.st_mtime_ns:x}-{stat.st_size:x}", manifest, folder)

    def result(self, name: str) -> Opened:
        """The result of a slide, read anew when it has changed on disk.

        Raises:
            UsageError: There is no such slide.
            OutputError: Its result is incomplete or damaged.
        """
        entry = self.entry(name)
        with self._lock:
            known = self._open.get(name)
            if known is None or known.stamp != entry.stamp:
                self._open[name] = self._read(entry)
            self._open.move_to_end(name)
            self._put_away()
            return self._open[name]

    def read_ahead(self) -> None:
        """Begin to read the only result that there is in the background: a browser will ask for it."""
        done = [state.name for state in self.cohort.states() if state.is_done]
        if len(done) == 1:
            threading.Thread(target=self._read_quietly, args=(done[0],), daemon=True).start()

    def _read_quietly(self, name: str) -> None:
        with suppress(HistocerbError, OSError):  # whoever asks is told
            self.result(name)

    def slide(self, name: str) -> Slide:
        """The slide of a result.

        Raises:
            SlideError: It cannot be found.
        """
        return self._shelf.slide(self.cohort.manifest(name), self.cohort.folder(name))

    def close(self) -> None:
        """Close all files."""
        self._shelf.close()
        with self._lock:
            self._open.clear()

    def _read(self, entry: Entry) -> Opened:
        manifest, path = entry.manifest, own_file(entry.folder, OBJECTS_FILE)
        size = int(manifest.slide["width_px"]), int(manifest.slide["height_px"])
        index = read_index(path, tasks_of(manifest), size)
        reader = OutlineReader(path, index, self.groups)
        return Opened(entry.stamp, manifest, entry.folder, index, reader, Orders(index))

    def _put_away(self) -> None:
        """Drop the least recently used; their files close with the last reader."""
        while len(self._open) > 1 and sum(len(one.index) for one in self._open.values()) > _MOST_OBJECTS:
            self._open.popitem(last=False)
