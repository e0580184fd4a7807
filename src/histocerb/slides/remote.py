"""Files in object stores and on other remote file systems, named by URLs such as `s3://bucket/slides/a.svs`.

fsspec reads them. It needs a further package per kind of store, which the extra `cloud` installs for S3 and
Google Cloud Storage.
"""

from __future__ import annotations

import errno
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
_WEB = ("http://", "https://")
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "Last-Modified", "created")
_MAGIC = re.compile(r"[*?[]")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


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
        return RemoteFile(self._named.rpartition("/")[0])

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self._named.rpartition("/")[2]

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
        """True for what may be a glob, unless there is a file of just this name."""
        return bool(_MAGIC.search(self._named))

    @property
    def _named(self) -> str:
        """The URL without what web servers are told besides the name, such as a signature."""
        return self.url.partition("?")[0] if self.url.lower().startswith(_WEB) else self.url

    def joined(self, path: str) -> RemoteFile:
        """Where a path leads that begins in this folder; `..` does not lead out of the bucket."""
        scheme, _, rest = self.url.partition("://")
        bucket, *parts = rest.split("/")
        for part in path.split("/"):
            if part == "..":
                del parts[-1:]
            elif part != ".":
                parts.append(part)
        return RemoteFile(f"{scheme}://{'/'.join([bucket, *parts])}")

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
    """What a user names: a URL or a path.

    Raises:
        UsageError: It is the beginning of a URL and no more.
    """
    for scheme in _LOCAL:
        if text.startswith(scheme) and text != scheme:
            return Path(text.removeprefix(scheme))
    if not is_url(text):
        return Path(text)
    if not text.partition("://")[2].strip("/"):
        raise UsageError(
            f"{text}: expected a URL such as s3://bucket/folder, found nothing after its beginning; name the "
            "bucket and what is in it"
        )
    return RemoteFile(text.rstrip("/"))


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
        OSError: This machine has no room for what is read.
        SlideError: The file is not there, or the store cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise SlideError(f"{url}: expected a slide, found no such file; check the URL") from None
    except (OSError, ValueError, RuntimeError, TimeoutError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise
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


def shown(place: RemoteFile) -> StoredFile | None:
    """What the store says of one file; None where there is none, or none that it shows us.

    Raises:
        SlideError: The store cannot be read.
    """
    with reachable(place.url):
        fs, path = file_system(place.url)
        try:
            info: Mapping[str, Any] = fs.info(path)
        except (FileNotFoundError, PermissionError):
            return None
    return _stored(place, info) if info["type"] == "file" else None


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


def is_there(place: RemoteFile) -> bool:
    """True for the name of a file or folder."""
    with reachable(place.url):
        fs, path = file_system(place.url)
        return bool(fs.exists(path))


def is_folder(place: RemoteFile) -> bool:
    """True where files are below it."""
    with reachable(place.url):
        fs, path = file_system(place.url)
        return bool(fs.isdir(path))


def _stored(place: RemoteFile, info: Mapping[str, Any]) -> StoredFile:
    told = [str(info[key]) for key in _VERSIONS if info.get(key) is not None]
    return StoredFile(place, int(info["size"] or 0), " ".join(told))
