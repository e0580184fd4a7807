"""What the folders of a cohort say: manifests, and what was carried along with the slides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from histocerb.core.errors import OutputError
from histocerb.inference.manifest import MANIFEST_FILE, Manifest, read_manifest, write_json

COLUMNS_FILE = "columns.json"


def result_folders(out: Path) -> list[Path]:
    """Folders in `out` with a manifest, by name."""
    return sorted(path.parent for path in out.glob(f"*/{MANIFEST_FILE}"))


def manifest_or_reason(folder: Path) -> tuple[Manifest | None, str]:
    """The manifest of a folder; None and why, where it cannot be read."""
    try:
        return read_manifest(folder), ""
    except (OutputError, OSError) as error:
        return None, str(error)


def keep_columns(folder: Path, columns: Mapping[str, str]) -> None:
    """Keep what was carried along with a slide in its folder; nothing is written where nothing changes."""
    if columns and dict(columns) != read_columns(folder):
        write_json(folder / COLUMNS_FILE, columns)


def read_columns(folder: Path) -> dict[str, str]:
    """What was carried along with a slide; nothing where that cannot be read."""
    try:
        content = json.loads((folder / COLUMNS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(cell) for name, cell in content.items()} if isinstance(content, dict) else {}
