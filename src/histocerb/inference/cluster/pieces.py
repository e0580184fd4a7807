"""Finished windows on their way between work folders: packed into files, checked where they are unpacked.

A piece is a tar file of markers and maps as they lie in a work folder (`canvas`, `ledger`). The ledger of
the folder into which it is unpacked compares every file with its marker, so that a piece which is damaged or
cut off gives windows that are not done, and never wrong ones.
"""

from __future__ import annotations

import logging
import re
import tarfile
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from histocerb.inference.chunks import place_name
from histocerb.inference.cluster.store import Store

_LOG = logging.getLogger(__name__)

MARKERS, MAPS = "windows", "maps"
_MEMBER = re.compile(r"windows/\d+-\d+|maps/[\w.-]+/(0\.)?\d+\.\d+")
_PREFIX, _SUFFIX = ".pieces-", ".tar"


def pieces_folder(key: str) -> str:
    """Where the pieces of a slide are, beside its results.

    Args:
        key: hash of all that decides about the result.
    """
    return f"{_PREFIX}{key[:16]}"


def markers(work: Path) -> set[str]:
    """Names of the windows that are complete in a work folder."""
    folder = work / MARKERS
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def pack(work: Path, windows: Iterable[str], piece: Path) -> None:
    """Write a piece.

    Args:
        work: a work folder.
        windows: names of markers.
        piece: the file.
    """
    with tarfile.open(piece, "w") as tar:
        for window in sorted(windows):
            chunk = window.replace("-", ".")
            maps = [*work.glob(f"{MAPS}/*/{chunk}"), *work.glob(f"{MAPS}/*/0.{chunk}")]
            for file in [*sorted(maps), work / MARKERS / window]:
                tar.add(file, file.relative_to(work).as_posix(), recursive=False)


def unpack(piece: Path, work: Path) -> int:
    """Take up a piece; windows that the folder has stay as they are.

    Returns:
        How many windows came.
    """
    known = markers(work)
    taken = 0
    try:
        with tarfile.open(piece, "r:") as tar:
            for member in tar:
                window = place_name(member.name.rpartition("/")[2])
                if window in known or not member.isreg() or not _MEMBER.fullmatch(member.name):
                    continue
                file = tar.extractfile(member)
                content = file.read() if file is not None else b""
                (work / member.name).parent.mkdir(parents=True, exist_ok=True)
                (work / member.name).write_bytes(content)
                taken += member.name.startswith(MARKERS)
    except (tarfile.TarError, EOFError) as error:
        _LOG.warning("a piece is damaged (%s); its windows are computed again", error)
    return taken


def send(work: Path, windows: Collection[str], folder: Store, name: str) -> None:
    """Pack windows and put the piece into a store.

    Args:
        work: a work folder.
        windows: names of markers.
        folder: of the pieces.
        name: of the piece.
    """
    with tempfile.TemporaryDirectory(prefix="histocerb-piece-") as place:
        piece = Path(place) / "piece"
        pack(work, windows, piece)
        folder.upload(piece, f"{name}{_SUFFIX}")


def has(folder: Store, name: str) -> bool:
    """True where a piece of that name is in the store."""
    return folder.exists(f"{name}{_SUFFIX}")


def take_up(folder: Store, work: Path) -> int:
    """Unpack all pieces of a folder into a work folder.

    Returns:
        How many windows came.
    """
    taken = 0
    with tempfile.TemporaryDirectory(prefix="histocerb-piece-") as place:
        piece = Path(place) / "piece"
        for name in sorted(folder.files()):
            if name.endswith(_SUFFIX) and folder.download(name, piece):
                taken += unpack(piece, work)
    return taken


def discard(slide: Store, but: str = "") -> None:
    """Remove the pieces of a slide.

    Args:
        slide: folder of its results.
        but: name of a folder of pieces that stays.
    """
    for folder in slide.folders():
        if folder.startswith(_PREFIX) and folder != but:
            slide.remove_folder(folder)


def discard_of(slide: Store, key: str) -> None:
    """Remove the pieces of a result that is done, which a process that was killed just after may have left.

    Those of another key may be of a process that is at work.

    Args:
        slide: folder of its results.
        key: see `pieces_folder`.
    """
    name = pieces_folder(key)
    if name in slide.folders():
        slide.remove_folder(name)
