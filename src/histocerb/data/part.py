"""The unfinished file of pixels of a conversion, and its journal: what is in it needs not be made again.

`.part-<name>` holds the bytes; `.part-<name>.jsonl` one line per sample with what it was made of (files with
size and time, the recipe of a generated one) and its record, after a first line with the settings. A line
counts when the bytes that it speaks of are there and have the checksum.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from histocerb._version import __version__
from histocerb.data.manifest import Record, record_from
from histocerb.data.pixels import checksum
from histocerb.data.sources.entry import Entry

Line = tuple[Any, Record]


class Part:
    """A file of pixels that grows sample by sample; a context manager while it does.

    Attributes:
        name: of the file of pixels.
        records: of the samples that are in it, with their offsets.
    """

    def __init__(self, folder: Path, name: str, settings: str) -> None:
        self.name = f".part-{name}"
        self.records: list[Record] = []
        self._pixels = folder / self.name
        self._journal = folder / f"{self.name}.jsonl"
        self._head = json.dumps({"version": __version__, "settings": settings})
        self._lines: list[str] = []
        self._found: list[Line] = []
        self._file: IO[bytes] | None = None
        self._log: IO[str] | None = None

    def __enter__(self) -> Part:
        self._found = self._read_journal()
        self._pixels.touch()
        self._file = self._pixels.open("r+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        file = self._open()
        if error is None:
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        file.close()
        if self._log is not None:
            self._log.close()
        if not self.records:
            self.forget()

    def take_over(self, entry: Entry) -> bool:
        """Whether the next sample is in the part already and is that of the entry; it is kept then.

        After the first False nothing more is taken over.
        """
        place = len(self.records)
        if place >= len(self._found):
            return False
        made_of, record = self._found[place]
        file = self._open()
        file.seek(record.offset)
        data = file.read(record.nbytes)
        intact = len(data) == record.nbytes and checksum(data) == record.checksum
        if made_of is None or made_of != _made_of(entry) or not intact:
            file.seek(record.offset)
            return False
        self._keep(made_of, record)
        return True

    def append(self, entry: Entry, record: Record, data: bytes) -> None:
        """Write a sample at the end."""
        file = self._open()
        record = replace(record, offset=file.tell())
        file.write(data)
        file.flush()
        if self._log is None:
            self._log = self._begin_journal()
        self._keep(_made_of(entry), record)
        self._log.write(self._lines[-1] + "\n")
        self._log.flush()

    def publish(self, path: Path) -> None:
        """Give the finished file of pixels its name."""
        self._pixels.replace(path)

    def forget(self) -> None:
        """Delete what there is."""
        self._pixels.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    def _open(self) -> IO[bytes]:
        assert self._file is not None, "a part is used within `with`"
        return self._file

    def _keep(self, made_of: Any, record: Record) -> None:
        self.records.append(record)
        self._lines.append(json.dumps({"made_of": made_of, "record": asdict(record)}))

    def _begin_journal(self) -> IO[str]:
        """The journal with what was taken over, open for more; the old one counts until this one is whole."""
        new = self._journal.with_suffix(".new")
        new.write_text("\n".join([self._head, *self._lines]) + "\n", encoding="utf-8")
        new.replace(self._journal)
        return self._journal.open("a", encoding="utf-8")

    def _read_journal(self) -> list[Line]:
        """Lines that an earlier run left, as far as they can be understood."""
        if not (self._journal.exists() and self._pixels.exists()):
            return []
        head, *lines = self._journal.read_text(encoding="utf-8").splitlines() or [""]
        found: list[Line] = []
        for line in lines if head == self._head else []:
            try:
                content = json.loads(line)
                found.append((content["made_of"], record_from(content["record"])))
            except (ValueError, KeyError, TypeError):
                break
        return found


def _made_of(entry: Entry) -> Any:
    """What a sample depends on, as JSON gives it back; None when that is not known."""
    if not entry.files and not entry.recipe:
        return None
    try:
        files = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in entry.files]
    except OSError:
        return None
    return [entry.name, entry.recipe, files]
