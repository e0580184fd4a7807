"""A slide of a cohort, and the names that its result folder may have."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.failures import FAILURES_FILE
from histocerb.inference.manifest import RUN_FILE
from histocerb.slides.remote import Place, RemoteFile

SUMMARY_FILE = "summary.parquet"

_TAKEN = (RUN_FILE, FAILURES_FILE, SUMMARY_FILE)
_LONGEST_NAME = 200


@dataclass(frozen=True)
class CohortSlide:
    """A slide that is to be segmented.

    Attributes:
        path: its file or URL, which need not exist: that is told when it is opened.
        name: of its result folder.
        mpp: micrometres per pixel; None: what the file says.
        columns: further columns of its row in a CSV table, by name.
        file_bytes: what it takes on disk.
    """

    path: Place
    name: str
    mpp: float | None = None
    columns: dict[str, str] = field(default_factory=dict)
    file_bytes: int = 0

    @property
    def location(self) -> str:
        """Where it is, wherever the command was called: absolute path or URL."""
        return self.path.url if isinstance(self.path, RemoteFile) else os.path.abspath(self.path)


def check_name(name: str, where: str) -> str:
    """The same name, if it can be that of a result folder on any system.

    Args:
        name: the name.
        where: what to call its place in the sentence of the error.

    Raises:
        UsageError: It leads out of the folder of results, is hidden, too long, or that of a file beside it.
    """
    inside = PureWindowsPath(name).name == name and name.isprintable() and name == name.strip()
    free = not name.startswith(".") and name not in _TAKEN and len(os.fsencode(name)) <= _LONGEST_NAME
    if not (name and inside and free):
        raise UsageError(
            f"{where}: expected a name for a result folder (without slash, colon or dot in front, at most "
            f"{_LONGEST_NAME} bytes, not {', '.join(_TAKEN)}), found {name!r}; give another in the column "
            "`name` of a CSV table"
        )
    return name
