"""Files in object stores and on other remote file systems, named by URLs such as `s3://bucket/slides/a.svs`.

fsspec reads them. It needs a further package per kind of store, which the extra `cloud` installs for S3 and
Google Cloud Storage.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from histocerb.core.errors import SlideError, UsageError

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_LOCAL = ("file://", "local://")
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "created")
_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, order=True)
class RemoteFile:
    """A file, or a folder, that has a URL; named like a `Path`.

    Attributes:
        url: with its scheme, without a slash at its end.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemoteFile:
        return RemoteFile(f"{self.url}/{name}")

    @property
    def parent(self) -> RemoteFile:
        """The folder it is in."""
        return RemoteFile(self.url.rpartition("/")[0])

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self.url.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Ending of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def is_pattern(self) -> bool:
        """True for a glob."""
        return bool(_MAGIC.search(self.url))

    @contextmanager
    def open(self, encoding: str, newline: str) -> Iterator[TextIO]:
        """Open it to be read as text."""
        with reachable(self.url):
            fs, path = file_system(self.url)
            content: bytes = fs.cat_file(path)
        yield io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline=newline)


Place = Path | RemoteFile
"""Where a file is."""


def is_url(text: str) -> bool:
    """True for `s3://...` and the like; files of this machine have paths."""
    return _URL.match(text) is not None


def place(text: str) -> Place:
    """What a user names: a URL or a path."""
    for scheme in _LOCAL:
        if text.startswith(scheme):
            return Path(text.removeprefix(scheme))
    return RemoteFile(text.rstrip("/")) if is_url(text) else Path(text)


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path of the URL in it.

    Listings are not kept: other processes write, too.

    Raises:
        UsageError: There is no such kind of store, or its package is not installed.
    """
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise UsageError(
            f"{url}: expected the package that reads such URLs, found none ({error}); "
            "pip install 'histocerb[cloud]'"
        ) from None
    except ValueError as error:
        raise UsageError(
            f"{url}: expected a URL that fsspec knows, such as s3://bucket/folder, found another ({error}); "
            "check its beginning"
        ) from None
    return fs, str(path)


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Turn failures of a store into one sentence.

    Raises:
        SlideError: The file is not there, or the store cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise SlideError(f"{url}: expected a slide, found no such file; check the URL") from None
    except (OSError, ValueError, RuntimeError, TimeoutError) as error:
        raise SlideError(
            f"{url}: the store cannot be read ({' '.join(str(error).split()) or type(error).__name__}); "
            "check the URL, the network and your credentials"
        ) from None
    except Exception as error:
        if not is_of_store(error):
            raise
        raise SlideError(
            f"{url}: the store cannot be read ({' '.join(str(error).split())}); check your credentials"
        ) from None


def is_of_store(error: Exception) -> bool:
    """True for what the libraries of stores raise besides `OSError`: no credentials, no connection."""
    module = type(error).__module__.partition(".")[0]
    return module in ("botocore", "aiobotocore", "aiohttp", "google", "gcsfs", "s3fs")


@dataclass(frozen=True)
class StoredFile:
    """A file as a store lists it.

    Attributes:
        place: its URL.
        size: in bytes.
        version: changes with the content, as far as the store tells.
    """

    place: RemoteFile
    size: int
    version: str


def look(place: RemoteFile) -> StoredFile:
    """What the store says of one file.

    Raises:
        SlideError: It is not there.
    """
    with reachable(place.url):
        fs, path = file_system(place.url)
        info: Mapping[str, Any] = fs.info(path)
    if info["type"] != "file":
        raise SlideError(f"{place}: expected a slide, found a folder; give one file inside it")
    return _stored(place, info)


def remote_bytes(place: RemoteFile) -> int:
    """Size of a file; 0 where its store does not tell, which fails when it is opened."""
    try:
        return look(place).size
    except SlideError:
        return 0


def files_in(folder: RemoteFile) -> list[StoredFile]:
    """The files directly in a folder, by name; none where there is no such folder."""
    with reachable(folder.url):
        fs, path = file_system(folder.url)
        try:
            found = fs.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
    infos = sorted((info for info in found if info["type"] == "file"), key=lambda info: str(info["name"]))
    named = [(str(info["name"]).rpartition("/")[2], info) for info in infos]
    return [_stored(folder / name, info) for name, info in named if name]


def matching(pattern: RemoteFile) -> list[RemoteFile]:
    """The files that a glob stands for, by name."""
    above = _MAGIC.split(pattern.url)[0].rpartition("/")[0]
    with reachable(pattern.url):
        fs, path = file_system(pattern.url)
        found = fs.glob(path, detail=True)
        _, above_path = file_system(above)
    names = [str(name).removeprefix(above_path) for name, info in found.items() if info["type"] == "file"]
    return sorted(RemoteFile(above + name) for name in names)


def is_folder(place: RemoteFile) -> bool:
    """True where files are below it."""
    with reachable(place.url):
        fs, path = file_system(place.url)
        return bool(fs.isdir(path))


def _stored(place: RemoteFile, info: Mapping[str, Any]) -> StoredFile:
    told = [str(info[key]) for key in _VERSIONS if info.get(key) is not None]
    return StoredFile(place, int(info["size"] or 0), " ".join(told))
