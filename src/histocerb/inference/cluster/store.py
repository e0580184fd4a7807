"""A folder of results that has a URL: what is asked of an object store, and no more.

Object stores have no renames, no locks and no folders. What they have, and all that is relied on: a file
appears whole or not at all, is seen by everyone at once, and may be created only where there is none.
"""

from __future__ import annotations

import glob
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from histocerb.core.errors import OutputError
from histocerb.inference.work import END_BYTES
from histocerb.slides.remote import RemoteFile, file_system, is_of_store


@dataclass(frozen=True)
class Store:
    """A folder in a store; picklable, and safe from several threads.

    Attributes:
        root: its URL.
    """

    root: RemoteFile

    def __truediv__(self, name: str) -> Store:
        return Store(self.root / name)

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where there is none."""
        with self._asking() as (fs, path), suppress(FileNotFoundError):
            content: bytes = fs.cat_file(f"{path}/{name}")
            return content
        return None

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """Content of several files by name; those that are gone are left out."""
        if not names:
            return {}
        with self._asking() as (fs, path):
            literal = [glob.escape(f"{path}/{name}") for name in names]  # fsspec reads globs
            found = fs.cat(literal, on_error="omit")
        return {self._name(path, key): content for key, content in found.items()}

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole."""
        with self._asking() as (fs, path):
            _make_folder(fs, f"{path}/{name}")
            fs.pipe_file(f"{path}/{name}", content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file where there is none; False where there is one, be it since a moment ago."""
        with self._asking() as (fs, path):
            _make_folder(fs, f"{path}/{name}")
            try:
                if _is_local(fs):
                    with Path(f"{path}/{name}").open("xb") as file:
                        file.write(content)
                else:
                    fs.pipe_file(f"{path}/{name}", content, mode="create")
            except FileExistsError:
                return False
            return True

    def upload(self, file: Path, name: str) -> None:
        """Copy a local file; it appears whole."""
        with self._asking() as (fs, path):
            _make_folder(fs, f"{path}/{name}")
            if _is_local(fs):
                fs.put_file(str(file), f"{path}/{name}.partial")
                fs.mv(f"{path}/{name}.partial", f"{path}/{name}")
            else:
                fs.put_file(str(file), f"{path}/{name}")

    def download(self, name: str, file: Path) -> bool:
        """Copy a file to a local one; False where there is none."""
        with self._asking() as (fs, path), suppress(FileNotFoundError):
            fs.get_file(f"{path}/{name}", str(file))
            return True
        return False

    def files(self) -> dict[str, Mapping[str, Any]]:
        """What is in the folder and in all below it: by name, what the store tells."""
        with self._asking() as (fs, path):
            found = fs.find(path, detail=True)
        return {self._name(path, key): info for key, info in found.items()}

    def folders(self) -> list[str]:
        """Names of the folders directly in it."""
        with self._asking() as (fs, path), suppress(FileNotFoundError):
            found = fs.ls(path, detail=True)
            return [self._name(path, info["name"]) for info in found if info["type"] == "directory"]
        return []

    def exists(self, name: str) -> bool:
        """True where there is such a file."""
        with self._asking() as (fs, path):
            return bool(fs.isfile(f"{path}/{name}"))

    def modified(self, name: str) -> datetime | None:
        """When a file was written last, by the clock of the store; None where there is none."""
        with self._asking() as (fs, path), suppress(FileNotFoundError):
            when: datetime = fs.modified(f"{path}/{name}")
            return when
        return None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._asking() as (fs, path), suppress(FileNotFoundError):
            fs.rm_file(f"{path}/{name}")

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all that is in it, if it is there."""
        with self._asking() as (fs, path), suppress(FileNotFoundError):
            folder = f"{path}/{name}"  # a glob to fsspec, but not on a disk
            fs.rm(folder if _is_local(fs) else glob.escape(folder), recursive=True)

    def ends(self, name: str) -> dict[str, int] | None:
        """Size and checksum of the ends of a file, as a manifest says them; None where there is none."""
        with self._asking() as (fs, path), suppress(FileNotFoundError):
            size = int(fs.size(f"{path}/{name}"))
            if size <= END_BYTES:
                head = tail = fs.cat_file(f"{path}/{name}")
            else:
                head = fs.cat_file(f"{path}/{name}", start=0, end=END_BYTES)
                tail = fs.cat_file(f"{path}/{name}", start=size - END_BYTES, end=size)
            return {"bytes": size, "ends_crc32": zlib.crc32(tail, zlib.crc32(head))}
        return None

    @contextmanager
    def _asking(self) -> Iterator[tuple[Any, str]]:
        """The file system and the path of the folder in it; failures become one sentence.

        Raises:
            OutputError: The store does not do what is asked.
        """
        try:
            yield file_system(self.root.url)
        except OutputError:
            raise
        except Exception as error:
            if not isinstance(error, OSError | TimeoutError | RuntimeError) and not is_of_store(error):
                raise
            raise OutputError(
                f"{self.root}: expected a store to write results to, found it failing "
                f"({' '.join(str(error).split()) or type(error).__name__}); check the URL, the network and "
                "your rights, and run the same command again"
            ) from error

    @staticmethod
    def _name(path: str, key: str) -> str:
        return key.removeprefix(f"{path}/")


def _is_local(fs: Any) -> bool:
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def _make_folder(fs: Any, path: str) -> None:
    """Folders are needed on file systems, not in object stores."""
    if _is_local(fs):
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
