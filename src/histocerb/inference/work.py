"""The folders of a slide: results, and the work that a killed run leaves for the next one.

```
<slide>/.work/lease          who works on it (`lease`)
<slide>/.work/key            hash of all that decides about the result
<slide>/.work/maps, windows  head maps, and which of them are complete (`canvas`, `ledger`)
<slide>/.work/try-<token>/   objects and results of the process that holds the lease
<slide>/maps.zarr            the maps of .work, where they are kept (`kept_maps`)
```

Results are made in a folder that belongs to one process, forced to disk, and moved to their place together;
then the manifest says `done` with their sizes and checksums, and only then the work is removed. Whatever is
cut off in between, the next run either finds a complete result or what it needs to make it.
"""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from histocerb.core.errors import InWorkError, OutputError
from histocerb.inference import kept_maps
from histocerb.inference.atomic import remove_partial_files, sync_folder, whole_file
from histocerb.inference.lease import LEASE_FILE, Lease, leased
from histocerb.inference.manifest import MANIFEST_FILE, Manifest, Status, read_manifest
from histocerb.inference.overview import OVERVIEW_FILE
from histocerb.inference.tables import OBJECTS_FILE, TISSUE_FILE

WORK_FOLDER = ".work"
_KEY_FILE = "key"
_TRY_PREFIX = "try-"
_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT)
RESULTS = (OBJECTS_FILE, TISSUE_FILE, OVERVIEW_FILE)
"""Files of a complete result, besides its manifest."""
END_BYTES = 1 << 16
"""Checksums of results cover so much at both ends."""


class OtherResultError(OutputError):
    """A folder holds the complete result of another slide, model or other parameters."""


def finished(folder: Path, key: str, *, overwrite: bool, with_maps: bool = False) -> Manifest | None:
    """The manifest of a complete result of the same slide, model and parameters; None where there is none.

    With `with_maps` one without its head maps counts as none. A damaged manifest counts as none where nothing
    of another's is lost by it: beside work with this key, or where there are no results.

    Raises:
        OutputError: The folder holds another complete result, or may hold one, and may not be overwritten.
    """
    if overwrite:
        return None
    try:
        manifest = read_manifest(folder)
    except OutputError:
        if _key(folder / WORK_FOLDER) == key or not any((folder / name).exists() for name in RESULTS):
            return None
        raise
    if manifest is None or manifest.status is not Status.DONE:
        return None
    check_key(manifest, key, str(folder))
    if not all(_is_intact(folder / name, manifest.files.get(name)) for name in RESULTS):
        return None
    return manifest if not with_maps or kept_maps.are_kept(folder, key) else None


def check_key(manifest: Manifest, key: str, where: str) -> None:
    """See that a complete result is of the same inputs.

    Raises:
        OtherResultError: It is not.
    """
    if manifest.key != key:
        raise OtherResultError(
            f"expected an empty folder or a result of the same slide, model and parameters, found "
            f"another one in {where}; use --overwrite or another --out"
        )


@contextmanager
def held(folder: Path) -> Iterator[Lease]:
    """Hold the slide of a result folder, so that no other process works on it.

    Raises:
        InWorkError: Another one does.
    """
    with leased(folder / WORK_FOLDER) as lease:
        yield lease


def begin(folder: Path, key: str, lease: Lease) -> Path:
    """Remove older results and give the work folder, with what an interrupted run of the same key left.

    Maps that it had already moved to their place are moved back, so that its windows still count as done.
    """
    remove_partial_files(folder)
    for name in (MANIFEST_FILE, *RESULTS):
        (folder / name).unlink(missing_ok=True)
    work = folder / WORK_FOLDER
    if _key(work) != key:
        _clear(work)
        with whole_file(work / _KEY_FILE) as temporary:
            temporary.write_text(key, encoding="utf-8")
    elif kept_maps.are_kept(folder, key):
        kept_maps.take_back(folder, work)
    kept_maps.drop(folder)
    lease.check()
    return work


def new_try(work: Path, lease: Lease) -> Path:
    """An empty folder for the objects and results of this process; those of earlier ones are removed."""
    for earlier in work.glob(f"{_TRY_PREFIX}*"):
        shutil.rmtree(earlier, ignore_errors=True)
    folder = work / f"{_TRY_PREFIX}{lease.token}"
    folder.mkdir()
    return folder


def publish(made: Path, folder: Path, lease: Lease) -> dict[str, dict[str, int]]:
    """Move the results from the folder where they were made to their place.

    Returns:
        Per file its size and a checksum, for the manifest.

    Raises:
        InWorkError: The slide was taken over by another process; nothing is moved.
    """
    prints = {name: ends(made / name) for name in RESULTS}
    lease.check()
    for name in RESULTS:
        os.replace(made / name, folder / name)
    sync_folder(folder)
    return prints


def tidy(folder: Path) -> None:
    """Remove the work of a slide that is done, unless another process has begun to do it again."""
    if (folder / WORK_FOLDER).exists():
        with suppress(InWorkError, OSError), held(folder) as lease:
            end(folder, lease)


def end(folder: Path, lease: Lease) -> None:
    """Remove the work of a slide that is done, if no other process has begun to do it again."""
    with suppress(InWorkError):
        lease.check()
        _clear(folder / WORK_FOLDER)


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


def _key(work: Path) -> str | None:
    """The key of work that was left; None where there is none, or it is damaged."""
    try:
        return (work / _KEY_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _clear(work: Path) -> None:
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LEASE_FILE:
            path.unlink(missing_ok=True)


def ends(path: Path) -> dict[str, int]:
    """Size of a file and CRC-32 of its beginning and end.

    Results are forced to disk before the manifest names them; this finds what is cut off or zeroed all the
    same, at a cost that does not grow with the result.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        checksum = zlib.crc32(file.read(END_BYTES))
        file.seek(max(0, size - END_BYTES))
        return {"bytes": size, "ends_crc32": zlib.crc32(file.read(), checksum)}


def _is_intact(path: Path, expected: dict[str, int] | None) -> bool:
    """True where a file is as the manifest says; what it says nothing of (0.1.0) only has to be there."""
    if not path.exists():
        return False
    return expected is None or ends(path) == expected
