"""The folders of a slide: results, and the work that a killed run leaves for the next one."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from histocerb.core.errors import OutputError
from histocerb.inference.manifest import MANIFEST_FILE, Manifest, Status, read_manifest
from histocerb.inference.overview import OVERVIEW_FILE
from histocerb.inference.tables import OBJECTS_FILE, TISSUE_FILE

WORK_FOLDER = ".work"
_KEY_FILE = "key"
_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT)
_RESULTS = (OBJECTS_FILE, TISSUE_FILE, OVERVIEW_FILE)


def finished(folder: Path, key: str, *, overwrite: bool) -> Manifest | None:
    """The manifest of a complete result of the same slide, model and parameters; None where there is none.

    Raises:
        OutputError: The folder holds another complete result, and may not be overwritten.
    """
    if overwrite:
        return None
    manifest = read_manifest(folder)
    if manifest is None or manifest.status is not Status.DONE:
        return None
    if manifest.key != key:
        raise OutputError(
            f"expected an empty folder or a result of the same slide, model and parameters, found "
            f"another one in {folder}; use --overwrite or another --out"
        )
    return manifest if all((folder / name).exists() for name in _RESULTS) else None


def begin(folder: Path, key: str) -> Path:
    """Remove older results and give the work folder, with what an interrupted run of the same key left."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST_FILE, *_RESULTS):
        (folder / name).unlink(missing_ok=True)
    work = folder / WORK_FOLDER
    marker = work / _KEY_FILE
    if not (marker.exists() and marker.read_text(encoding="utf-8") == key):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        marker.write_text(key, encoding="utf-8")
    return work


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn failures of the file system into one sentence.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _SPACE_ERRORS:
            raise OutputError(
                f"expected room for results, found the disk of {folder} full; windows that are done are "
                f"kept in {folder / WORK_FOLDER}: free some space and run the same command again"
            ) from error
        raise OutputError(
            f"expected a folder to write to, found {folder} failing ({error.strerror or error}); "
            "check its rights or choose another --out"
        ) from error
