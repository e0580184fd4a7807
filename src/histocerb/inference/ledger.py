"""Which windows are complete: what is on disk is the ledger.

A window has a marker file, `windows/ROW-COLUMN`, written after its maps. It holds, for every head, the size
and the CRC-32 of the file that the window wrote, or null where it wrote none because all was background.
Nothing is forced to disk window by window. When work is taken up every file is read and compared instead, so
that after a power cut a window whose marker outlived its maps (or whose maps are short, zeroed or gone)
counts as not done. A marker that is itself damaged says nothing, and its window is not done either.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from histocerb.core.geometry import Window
from histocerb.inference.chunks import Print, file_print

Place = tuple[int, int]
"""(column, row) of a window."""
Prints = dict[str, Print | None]
"""Per head, the print of what a window wrote; None where it wrote nothing."""

FileOf = Callable[[str, Place], Path]
"""Where the maps of a head and window are."""

_CHECKERS = 8
"""Threads that compare files: on a network file system most of the time is waiting."""


class Ledger:
    """The complete windows of one slide; safe to use from several threads."""

    def __init__(self, folder: Path, heads: Iterable[str], file_of: FileOf) -> None:
        """Take up what is in a folder: every marker whose files are as they were written.

        Args:
            folder: of the markers; created when missing.
            heads: names of all heads.
            file_of: where the maps of a head and window are.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._heads = tuple(heads)
        self._file_of = file_of
        with ThreadPoolExecutor(_CHECKERS, "histocerb-check") as checkers:
            found = checkers.map(self._intact, sorted(folder.iterdir()))
            self._prints: dict[Place, Prints] = dict(entry for entry in found if entry is not None)

    def __contains__(self, window: Window) -> bool:
        return (window.column, window.row) in self._prints

    def places(self) -> list[Place]:
        """All complete windows, row by row."""
        return sorted(self._prints, key=lambda place: place[::-1])

    def print_of(self, head: str, place: Place) -> Print | None:
        """What a complete window wrote of that head; None where it is background or not complete."""
        prints = self._prints.get(place)
        return None if prints is None else prints[head]

    def add(self, window: Window, prints: Prints) -> None:
        """Mark a window whose maps have all been written: per head, what was written."""
        place = (window.column, window.row)
        self._marker(place).write_text(json.dumps(prints), encoding="utf-8")
        self._prints[place] = prints

    def forget(self, place: Place) -> None:
        """Take back that a window is complete."""
        self._marker(place).unlink(missing_ok=True)
        self._prints.pop(place, None)

    def _marker(self, place: Place) -> Path:
        return self._folder / f"{place[1]}-{place[0]}"

    def _intact(self, marker: Path) -> tuple[Place, Prints] | None:
        """What a marker says, when it is true."""
        try:
            row, column = (int(part) for part in marker.name.split("-"))
            prints = _parsed(marker.read_bytes(), self._heads)
            place = (column, row)
            if all(file_print(self._file_of(head, place)) == prints[head] for head in self._heads):
                return place, prints
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            pass  # unreadable is the same as not done
        return None


def _parsed(content: bytes, heads: Iterable[str]) -> Prints:
    found: Mapping[str, list[int] | None] = json.loads(content)
    prints: Prints = {}
    for head in heads:
        entry = found[head]
        if entry is None:
            prints[head] = None
        else:
            size, checksum = entry
            prints[head] = (size, checksum)
    return prints
