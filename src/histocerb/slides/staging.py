"""Copies of remote slides on the local disk: a folder of bounded size that several processes share.

```
<cache>/<hash>/<files>       a whole copy, named as in the store; the hash is of URL, size and version
<cache>/<hash>/.users/*      one locked file per process that reads it; the lock ends with its process
<cache>/<hash>/.bytes        how much it takes
<cache>/<hash>/.whole        written last
<cache>/lock                 held while a copy is begun, or an old one removed
```

A copy is used again where URL, size and version are the same. Room for a new one, within the bound and on the
disk, is made by removing those that nobody reads, the one that was used least lately first.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from histocerb.core.errors import SlideError, UsageError
from histocerb.slides.remote import RemoteFile, StoredFile, file_system, look, reachable
from histocerb.slides.remote_slide import slide_files

_LOG = logging.getLogger(__name__)

_GB = 10**9
_USERS, _BYTES, _WHOLE = ".users", ".bytes", ".whole"
_WAIT_S = 1.0
_COPY = re.compile("[0-9a-f]{32}")
"""Names of copies; what else lies in the folder is not ours."""
_SIZE = re.compile(r"([0-9.]+)\s*(|[kmgt]b?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Cache:
    """Where copies are, and how much they may take.

    Attributes:
        folder: on a local disk; None: `histocerb-slides-UID` among the temporary files, for this user alone.
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
        UsageError: No folder is named, and others may write to the one among the temporary files.
    """
    files = slide_files(place)
    identity = " ".join(f"{file.place} {file.size} {file.version}" for file in files)
    entry = cache.place / hashlib.sha256(identity.encode()).hexdigest()[:32]
    needed = sum(file.size for file in files)
    try:
        _make_folder(cache)
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


def _make_folder(cache: Cache) -> None:
    """Make the folder of the copies; the one among the temporary files, which all users share, with care."""
    if cache.folder is not None:
        cache.folder.mkdir(parents=True, exist_ok=True)
        return
    with suppress(FileExistsError):
        cache.place.mkdir(mode=0o700)
    found = cache.place.lstat()
    if not hasattr(os, "getuid"):
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UsageError(
            f"{cache.place}: expected a folder of yours to which nobody else may write, found another; "
            "remove it, or choose another folder with --cache-dir"
        )
    cache.place.chmod(0o700)


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
    """Remove old copies; False where others are in use and take the room for now.

    Raises:
        OSError: There are no copies, and the disk is full all the same.
        SlideError: The slide is larger than the cache.
    """
    if needed > cache.max_bytes:
        raise SlideError(
            f"{place}: expected a cache of at least {needed / _GB:.3g} GB, found one of "
            f"{cache.max_bytes / _GB:.3g} GB; raise --cache-size"
        )
    shutil.rmtree(entry, ignore_errors=True)  # half a copy, of a process that was killed
    others = sorted(filter(_is_copy, cache.place.iterdir()), key=_used_s)
    sizes = {path: _size(path) for path in others}
    for path in others:
        if _fits(needed, sizes, cache):
            break
        if not _in_use(path):
            shutil.rmtree(path, ignore_errors=True)
            del sizes[path]
    fits = _fits(needed, sizes, cache)
    if not fits and not sizes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return fits


def _fits(needed: int, sizes: Mapping[Path, int], cache: Cache) -> bool:
    """True where a copy keeps the bound, and the disk has room for it and those that are being made."""
    begun = sum(size for path, size in sizes.items() if not (path / _WHOLE).exists())
    free = shutil.disk_usage(cache.place).free
    return needed + sum(sizes.values()) <= cache.max_bytes and needed + begun <= free


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


def _below(slide: RemoteFile, file: RemoteFile) -> str:
    """Path of a file of a slide, from the folder of the slide."""
    return slide.name if file == slide else file.url.removeprefix(f"{slide.parent.url}/")
