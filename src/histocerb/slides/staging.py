"""Copies of remote slides on the local disk: a folder of bounded size that several processes share.

```
<cache>/<hash>/<files>       a whole copy, named as in the store; the hash is of URL, size and version
<cache>/<hash>/.users/*      one locked file per process that reads it; the lock ends with its process
<cache>/<hash>/.bytes        how much it takes
<cache>/<hash>/.whole        written last
<cache>/lock                 held while a copy is begun, or an old one removed
```

A copy is used again where URL, size and version are the same. Room for a new one is made by removing those
that nobody reads, the one that was used least lately first.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from histocerb.core.errors import SlideError, UsageError
from histocerb.slides.remote import RemoteFile, StoredFile, file_system, files_in, look, reachable

_LOG = logging.getLogger(__name__)

_GB = 10**9
_USERS, _BYTES, _WHOLE = ".users", ".bytes", ".whole"
_WAIT_S = 1.0
_COPY = re.compile("[0-9a-f]{32}")
"""Names of copies; what else lies in the folder is not ours."""
_SIZE = re.compile(r"([0-9.]+)\s*(|[kmgt]b?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

_IN_A_FOLDER = {".mrxs": None, ".dcm": (".dcm",), ".vms": (".jpg", ".opt"), ".vmu": (".ngr", ".opt")}
"""Formats of many files: None for a folder of the slide's name, else endings of the files beside it."""


@dataclass(frozen=True)
class Cache:
    """Where copies are, and how much they may take.

    Attributes:
        folder: on a local disk; None: `histocerb-slides-UID` among the temporary files.
        max_bytes: that all copies together may take.
    """

    folder: Path | None = None
    max_bytes: int = 100 * _GB

    @property
    def place(self) -> Path:
        """The folder."""
        user = os.getuid() if hasattr(os, "getuid") else "all"
        return self.folder or Path(tempfile.gettempdir()) / f"histocerb-slides-{user}"


def parse_bytes(text: str, option: str = "--cache-size") -> int:
    """The number of bytes that `100GB` means.

    Args:
        text: a number with a unit.
        option: that says so, for the sentence of the error.

    Raises:
        UsageError: It is not like that.
    """
    match = _SIZE.fullmatch(text.strip())
    try:
        size = int(float(match[1]) * _UNITS[match[2][:1].lower()]) if match else 0
    except ValueError:
        size = 0
    if size <= 0:
        raise UsageError(f"expected a size such as 100GB or 500MB, found {text!r}; change {option}")
    return size


@dataclass
class Staged:
    """A copy that this process reads; it stays until `release`.

    Attributes:
        path: of the slide.
    """

    path: Path
    _use: BaseFileLock

    def release(self) -> None:
        """From now on the copy may be removed."""
        self._use.release()
        with suppress(OSError):
            Path(self._use.lock_file).unlink()


def stage(place: RemoteFile, cache: Cache) -> Staged:
    """A local copy of a slide, with the files that belong to it.

    Raises:
        SlideError: The slide cannot be read, changed while it was copied, or does not fit into the cache.
    """
    files = _slide_files(place)
    identity = " ".join(f"{file.place} {file.size} {file.version}" for file in files)
    entry = cache.place / hashlib.sha256(identity.encode()).hexdigest()[:32]
    needed = sum(file.size for file in files)
    try:
        cache.place.mkdir(parents=True, exist_ok=True)
        with FileLock(cache.place / f"{entry.name}.lock"):  # one process copies, others of this slide wait
            use = _begin(entry, needed, place, cache)
            try:
                if not (entry / _WHOLE).exists():
                    for file in files:
                        _copy(file, entry / _below(place, file.place))
                    (entry / _WHOLE).touch()
            except BaseException:
                use.release()
                shutil.rmtree(entry, ignore_errors=True)
                raise
    except OSError as error:
        raise SlideError(
            f"{place}: expected room for {needed / _GB:.3g} GB in {cache.place}, found it failing "
            f"({error.strerror or error}); free some space, or choose another --cache-dir"
        ) from error
    (entry / _WHOLE).touch()
    return Staged(entry / place.name, use)


def _begin(entry: Path, needed: int, place: RemoteFile, cache: Cache) -> BaseFileLock:
    """Make room for a copy, and a mark that this process uses it."""
    while True:
        with FileLock(cache.place / "lock"):
            if (entry / _WHOLE).exists() or _make_room(entry, needed, place, cache):
                (entry / _USERS).mkdir(parents=True, exist_ok=True)
                (entry / _BYTES).write_text(str(needed), encoding="ascii")
                use = FileLock(entry / _USERS / secrets.token_hex(8), thread_local=False)
                use.acquire()
                return use
        _LOG.debug("%s: waits for room in %s", place, cache.place)
        time.sleep(_WAIT_S)


def _make_room(entry: Path, needed: int, place: RemoteFile, cache: Cache) -> bool:
    """Remove old copies; False where others are in use and take the room for now."""
    if needed > cache.max_bytes:
        raise SlideError(
            f"{place}: expected a cache of at least {needed / _GB:.3g} GB, found one of "
            f"{cache.max_bytes / _GB:.3g} GB; raise --cache-size"
        )
    shutil.rmtree(entry, ignore_errors=True)  # half a copy, of a process that was killed
    others = {path: _used_s(path) for path in cache.place.iterdir() if _is_copy(path)}
    sizes = {path: _size(path) for path in others}
    for path in sorted(others, key=others.__getitem__):
        if sum(sizes.values()) + needed <= cache.max_bytes:
            break
        if not _in_use(path):
            shutil.rmtree(path, ignore_errors=True)
            del sizes[path]
    return sum(sizes.values()) + needed <= cache.max_bytes


def _is_copy(path: Path) -> bool:
    return _COPY.fullmatch(path.name) is not None and (path / _USERS).is_dir()


def _used_s(entry: Path) -> float:
    with suppress(OSError):
        return (entry / _WHOLE).stat().st_mtime
    return 0.0


def _size(entry: Path) -> int:
    with suppress(OSError, ValueError):
        return int((entry / _BYTES).read_text(encoding="ascii"))
    return 0


def _in_use(entry: Path) -> bool:
    """True where a living process holds one of the locks."""
    with suppress(OSError):
        for mark in (entry / _USERS).iterdir():
            try:
                FileLock(mark).acquire(timeout=0).lock.release()
            except Timeout:
                return True
    return False


def _copy(file: StoredFile, path: Path) -> None:
    """Copy one file, and see that it is whole and was not replaced meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with reachable(file.place.url):
        fs, remote = file_system(file.place.url)
        fs.get_file(remote, str(path))
    again = look(file.place)
    if path.stat().st_size != file.size or again != file:
        raise SlideError(
            f"{file.place}: expected {file.size} bytes that stay the same, found {path.stat().st_size} or a "
            "file that changed while it was copied; run the same command again"
        )


def _slide_files(place: RemoteFile) -> Sequence[StoredFile]:
    """The file of a slide, first, and those that its format keeps beside it."""
    first = look(place)
    if place.suffix.lower() not in _IN_A_FOLDER:
        return [first]
    endings = _IN_A_FOLDER[place.suffix.lower()]
    folder = place.parent / place.stem if endings is None else place.parent
    beside = [file.place for file in files_in(folder) if file.place != place]
    return [first, *(look(file) for file in beside if endings is None or file.suffix.lower() in endings)]


def _below(slide: RemoteFile, file: RemoteFile) -> str:
    return file.url.removeprefix(f"{slide.parent.url}/")
