"""Results that are being looked at: their index, outlines and slide, the latest kept open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from histocerb.core.tasks import TaskSpec
from histocerb.inference.manifest import Manifest
from histocerb.inference.tables import OBJECTS_FILE
from histocerb.slides.reader import Slide
from histocerb.web.index import ObjectIndex, read_index
from histocerb.web.outlines import OutlineReader, StoredGroups, stored_groups
from histocerb.web.queries import Orders
from histocerb.web.results import Cohort, own_file, spec_of
from histocerb.web.slides import SlideShelf

_MOST_OBJECTS = 2_000_000
"""Objects of all results that are kept open; the one looked at is kept however large it is."""


@dataclass(frozen=True)
class Opened:
    """A result that is being looked at.

    Attributes:
        stamp: changes when the result does.
        manifest: what its folder says.
        folder: where it is.
        index: its objects.
        outlines: of the objects.
        orders: sorted rows.
    """

    stamp: str
    manifest: Manifest
    folder: Path
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

    def result(self, name: str) -> Opened:
        """The result of a slide, read anew when it has changed on disk.

        Raises:
            UsageError: There is no such slide.
            OutputError: Its result is incomplete or damaged.
        """
        folder = self.cohort.folder(name)
        path = own_file(folder, OBJECTS_FILE)
        stat = path.stat()
        stamp = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
        with self._lock:
            known = self._open.get(name)
            if known is None or known.stamp != stamp:
                self._open[name] = self._read(name, folder, path, stamp)
            self._open.move_to_end(name)
            self._put_away()
            return self._open[name]

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

    def _read(self, name: str, folder: Path, path: Path, stamp: str) -> Opened:
        manifest = self.cohort.manifest(name)
        size = int(manifest.slide["width_px"]), int(manifest.slide["height_px"])
        index = read_index(path, spec_of(manifest), size)
        return Opened(stamp, manifest, folder, index, OutlineReader(path, index, self.groups), Orders(index))

    def _put_away(self) -> None:
        """Drop the least recently used; their files close with the last reader."""
        while len(self._open) > 1 and sum(len(one.index) for one in self._open.values()) > _MOST_OBJECTS:
            self._open.popitem(last=False)
