"""How files of a run are written: whole or not at all, and with one sentence where that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from histocerb.core.errors import OutputError


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
