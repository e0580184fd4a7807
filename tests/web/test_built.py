"""The pages that are shipped are those that the sources give."""

import hashlib
import json
from pathlib import Path

from histocerb.web.app import STATIC

FRONTEND = Path(__file__).parents[2] / "frontend"
SOURCES = ("index.html", "package-lock.json", "src", "tsconfig.json", "vite.config.ts")


def files(path):
    return [one for name in sorted(path.iterdir()) for one in files(name)] if path.is_dir() else [path]


def test_built_from_these_sources():
    """As `vite.config.ts` records it; `make frontend` builds anew."""
    digest = hashlib.sha256()
    for source in SOURCES:
        for path in files(FRONTEND / source):
            digest.update(path.relative_to(FRONTEND).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    recorded = json.loads((STATIC / "built.json").read_text(encoding="utf-8"))
    assert recorded["sources"] == digest.hexdigest(), "frontend/ has changed; run make frontend"


def test_nothing_was_changed_after_building():
    recorded = json.loads((STATIC / "built.json").read_text(encoding="utf-8"))["files"]
    found = {path.relative_to(STATIC).as_posix(): path for path in files(STATIC) if path.name != "built.json"}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == recorded


def test_licences_of_all_that_is_bundled_are_shipped():
    wanted = json.loads((FRONTEND / "package.json").read_text(encoding="utf-8"))["dependencies"]
    text = (STATIC / "licences.txt").read_text(encoding="utf-8")
    assert all(f"{name}\n" in text for name in wanted)
    assert "GNU" not in text


def test_pages_name_no_other_machine():
    for path in files(STATIC):
        if path.suffix == ".html":
            assert "//" not in path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
