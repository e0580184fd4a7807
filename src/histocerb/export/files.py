"""Files that exports write: whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from histocerb.core.errors import OutputError


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name, replacing what has it, when the block ends well.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"Expected to write {path}, found: {error.strerror or error}; free space or choose another --out."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
