"""The three stores that the default model is trained on, made in one command.

    python configs/default/store.py DATA stores/default

The second, `stores/default-tissue`, is the first with real tissue cells, of the patients of the glands. The
third, `stores/default-sheets`, is the second with synthetic sheets of solid epithelium.

DATA holds `glas` (the GlaS training images) and `consep-train` (the CoNSeP training images) as published, and
`glas-goblet` (masks of goblet cells on some of the GlaS images). `tissue-tiles` (tiles of CRC-VAL-HE-7K) are
for testing alone.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import sheets
from lumen_hints import with_lumina
from tissue_hints import NAME as HINTS_NAME
from tissue_hints import tissue_hints

from histocerb.data.convert import Conversion, convert, split_store
from histocerb.data.sources import DATA_SETS
from histocerb.data.sources.entry import Entry, ReadOptions
from histocerb.data.sources.synth import NAME, TISSUE_NAME, synth, synth_tissue
from histocerb.data.splits import SplitParams

TILES = "crc-val-he-7k"


def main(data: Path, out: Path) -> None:
    """Convert the real sources, then draw the synthetic ones."""
    glas = [with_lumina(entry, data / "glas-goblet") for entry in _entries("glas", data / "glas")]
    _add("glas", data / "glas", glas, out)
    _add("consep", data / "consep-train", _entries("consep", data / "consep-train"), out)
    convert(synth(64, 1024, seed=1000), out, Conversion(NAME, workers=2))
    convert(synth_tissue(150, seed=5000, per_slide=5), out, Conversion(TISSUE_NAME))
    tissue = shutil.copytree(out, out.with_name(f"{out.name}-tissue"), dirs_exist_ok=True)
    _with_tissue(data, glas, tissue)
    _with_sheets(shutil.copytree(tissue, out.with_name(f"{out.name}-sheets"), dirs_exist_ok=True))


def _with_tissue(data: Path, glas: list[Entry], out: Path) -> None:
    cells = list(tissue_hints(glas, data / "glas" / "Grade.csv"))
    convert(cells, out, Conversion(HINTS_NAME, data / "glas", DATA_SETS["glas"].licence))
    _add(TILES, data / "tissue-tiles", _entries(TILES, data / "tissue-tiles"), out)
    split_store(out, SplitParams(external=(TILES,)))


def _with_sheets(out: Path) -> None:
    convert(sheets.squares(48, seed=9000), out, Conversion(sheets.NAME))
    split_store(out, SplitParams(external=(TILES,)))


def _entries(name: str, folder: Path) -> list[Entry]:
    return DATA_SETS[name].read(folder, ReadOptions())


def _add(name: str, folder: Path, entries: list[Entry], out: Path) -> None:
    convert(entries, out, Conversion(name, folder, DATA_SETS[name].licence, workers=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
