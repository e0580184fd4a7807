"""How files of a run are written: whole or not at all, and with one sentence where that fails."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from histocerb.core.errors import OutputError

log = logging.getLogger(__name__)

_LOCK = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder of a run and keep other processes from training in it; the lock ends with the process.

    File systems without locks, as some of clusters are, keep nobody away.

    Raises:
        OutputError: another process trains there, or the folder cannot be written.
    """
    lock = FileLock(folder / _LOCK, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except NotImplementedError:
            log.debug("%s: the file system has no locks", folder)
        except Timeout:
            raise OutputError(
                f"expected to be alone in {folder}, found another process that trains there; wait for it, or "
                "choose another --out"
            ) from None
    try:
        yield
    finally:
        lock.release()


def become(partial: Path, path: Path) -> None:
    """Give a file its name, once it is on the disk."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn failures of the file system into one sentence.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"expected a folder to write the run to, found {folder} failing ({error.strerror or error}); "
            "free space, check its rights or choose another --out"
        ) from error
