"""Which slides files, folders, globs and CSV tables name."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.slides import CohortSlide, check_name
from histocerb.inference.cohort.table import read_table
from histocerb.inference.manifest import MANIFEST_FILE
from histocerb.inference.overview import OVERVIEW_FILE
from histocerb.slides.files import is_slide_name, stored_bytes
from histocerb.slides.listing import one_per_slide
from histocerb.slides.remote import Place, RemoteFile, files_in, is_folder, is_there, matching

_TABLE_SUFFIX = ".csv"


def find_slides(sources: Sequence[Place], mpp: float | None = None) -> list[CohortSlide]:
    """The slides of a cohort, each once, in the order in which they are named.

    Args:
        sources: files; folders, of which their own slides are taken; globs, in which `**` stands for any
            folders; CSV tables (see `table.read_table`).
        mpp: micrometres per pixel of slides whose row does not say it.

    Raises:
        SlideError: A store cannot be read.
        UsageError: A folder or glob without slides, a faulty table, two slides of one name, a name that is no
            name of a folder.
    """
    found: dict[str, CohortSlide] = {}
    for slide in (slide for source in sources for slide in _of_source(source)):
        known = found.setdefault(slide.name, slide)
        if known != slide:
            raise UsageError(
                f"expected slides of different names, found {known.path} and {slide.path}; give them "
                "different names in the column `name` of a CSV table, or run them with different --out"
            )
    return [
        replace(slide, mpp=mpp if slide.mpp is None else slide.mpp, file_bytes=stored_bytes(slide.path))
        for slide in found.values()
    ]


def _of_source(source: Place) -> list[CohortSlide]:
    if source.suffix.lower() == _TABLE_SUFFIX:
        return read_table(source)
    return [CohortSlide(path, check_name(path.stem, str(path))) for path in _files(source)]


def _files(source: Place) -> Sequence[Place]:
    """The files of a folder or glob that are slides by their name; a file is itself, whatever its name."""
    if isinstance(source, RemoteFile):
        return _remote_files(source)
    if source.is_dir():
        found = [path for path in source.iterdir() if _is_slide(path)]
        below = source / "**" / "*.svs"
        remedy = f"name its files, or the slides in the folders below with a quoted glob such as '{below}'"
    elif glob.has_magic(str(source)) and not source.exists():
        found = [path for path in map(Path, glob.glob(str(source), recursive=True)) if _is_slide(path)]
        remedy = "check the pattern, or name files"
    else:
        return [source]
    if not found:
        raise UsageError(f"{source}: expected slides, found no file with the ending of one; {remedy}")
    return one_per_slide(sorted(found))


def _remote_files(source: RemoteFile) -> list[RemoteFile]:
    """See `_files`."""
    if source.is_pattern and not is_there(source):
        found = [file for file in matching(source) if is_slide_name(file)]
    elif not is_slide_name(source) and is_folder(source):
        found = [file.place for file in files_in(source) if is_slide_name(file.place)]
    else:
        return [source]
    found = [file for file in found if file.name != OVERVIEW_FILE]
    if not found:
        raise UsageError(f"{source}: expected slides, found no file with the ending of one; check the URL")
    return one_per_slide(found)


def _is_slide(path: Path) -> bool:
    """Not so the pictures among results."""
    is_result = path.name == OVERVIEW_FILE and (path.parent / MANIFEST_FILE).exists()
    return is_slide_name(path) and path.is_file() and not is_result
