"""Data sets of tissue patches with one folder per class: Kather 2016, NCT-CRC-HE, CRC-VAL-HE-7K, CRC-TP.

Layouts as published::

    Kather_texture_2016_image_tiles_5000/01_TUMOR/10009_CRC-Prim-HE-03_009.tif_Row_301_Col_151.tif
        5,000 of 150 px at 0.495 um: 02_STROMA, 03_COMPLEX, 04_LYMPHO, 05_DEBRIS, 06_MUCOSA, 07_ADIPOSE,
        08_EMPTY too
    NCT-CRC-HE-100K/ADI/ADI-AAAFLCLY.tif (or NCT-CRC-HE-100K-NONORM), CRC-VAL-HE-7K/ADI/ADI-TCGA-AAICEQFN.tif
        100,000 and 7,180 of 224 px at 0.5 um: BACK, DEB, LYM, MUC, MUS, NORM, STR, TUM too
    Fold2/Training/Benign/1.png, Fold2/Testing/Benign/1.png
        280,000 of 150 px at 20x: Complex Stroma (or Complex), Debris, Inflammatory, Muscle, Stroma, Tumor too

Endings do not matter. Names of Kather 2016 tell one of ten cases (`CRC-Prim-HE-03`), which counts as the
patient; the others tell none, so that each patch counts as one (`TCGA` in the names of CRC-VAL-HE-7K is
followed by a random word). The two folds of CRC-TP are the same patches divided in two ways: one is read.
A set that is not whole (fewer patches than published, a class without any) is read with a warning.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.data.class_names import CRC_TP, KATHER_2016, NCT_CRC_HE, mapped
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import files_by_stem, read_rgb, subfolder, tcga_patient

_log = logging.getLogger(__name__)
_ALIASES = {"complex": "complexstroma"}


@dataclass(frozen=True)
class _Layout:
    """What is published of a set.

    Attributes:
        name: of the source.
        mpp: micrometres per pixel.
        side_px: of a patch.
        count: patches.
        table: our class per folder.
        folders: names of the folder of the whole set.
        parts: names of folders between it and those of the classes.
        centre: where the images are from, "" where that is not published per image.
        cases: the case, as names tell it, where they do.
    """

    name: str
    mpp: float
    side_px: int
    count: int
    table: Mapping[str, str | None]
    folders: tuple[str, ...]
    parts: tuple[str, ...] = ()
    centre: str = ""
    cases: re.Pattern[str] | None = None


def _read(layout: _Layout, folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a folder, in order of names.

    Raises:
        DataError: no folder of a class, one that is not known, two of CRC-TP's folds.
    """
    table = {**layout.table, **options.classes}
    below = {part: found for part in _parts(folder, layout) if (found := _class_folders(part))}
    if not any(_known(path.name, table) for found in below.values() for path in found):
        raise DataError(
            f"{folder}: expected folders {', '.join(layout.table)} of {layout.name}, "
            "found none with images; give the folder that has them"
        )
    entries: list[Entry] = []
    filled: set[str] = set()
    for part, found in below.items():
        for path in found:
            known = _known(path.name, table) or path.name
            patch_class = mapped(known, table, path, drop_unmapped=options.drop_unmapped)
            filled.add(known)
            if patch_class is not None:
                prefix = f"{part.name.lower()}-" if layout.parts else ""
                entries += _entries(layout, path, prefix, patch_class)
    if len(entries) < layout.count:
        lacking = ", ".join(sorted(set(layout.table) - filled)) or "no class"
        found_here = f"{len(entries)} (without any: {lacking})"
        _log.warning("%s: expected %d patches, found %s", folder, layout.count, found_here)
    return sorted(entries, key=lambda entry: entry.name)


def _entries(layout: _Layout, folder: Path, prefix: str, patch_class: str) -> list[Entry]:
    named = f"{prefix}{folder.name.replace(' ', '')}-"
    entries = []
    for stem, path in files_by_stem(folder).items():
        name = stem if stem.startswith(named) else named + stem
        entries.append(Entry(name, (path,), partial(_load, layout, path, name, patch_class)))
    return entries


def _load(layout: _Layout, path: Path, name: str, patch_class: str) -> Sample:
    image = read_rgb(path)
    if image.shape[:2] != (layout.side_px, layout.side_px):
        raise DataError(
            f"{path}: expected {layout.side_px} x {layout.side_px} pixels as published, found "
            f"{image.shape[1]} x {image.shape[0]}; download the original, whose resolution is known"
        )
    case = layout.cases.search(path.stem) if layout.cases else None
    patient = tcga_patient(path.stem) or f"{layout.name}-{case.group() if case else name}"
    return Sample(
        image,
        layout.mpp,
        patch_class=patch_class,
        source=layout.name,
        patient=patient,
        name=name,
        centre=layout.centre,
    )


def _parts(folder: Path, layout: _Layout) -> list[Path]:
    """The folders right above those of the classes."""
    folds = [fold for name in layout.folders if (fold := subfolder(folder, name))]
    if len(folds) > 1 and layout.parts:
        raise DataError(
            f"{folder}: expected one fold of {layout.name}, found {' and '.join(f.name for f in folds)}, "
            "which are the same patches; give one of them"
        )
    root = folds[0] if folds else folder
    return [part for name in layout.parts if (part := subfolder(root, name))] or [root]


def _class_folders(folder: Path) -> list[Path]:
    """Folders with images in it."""
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in below if not path.name.startswith(".") and files_by_stem(path)]


def _known(name: str, table: Mapping[str, str | None]) -> str | None:
    """The name in the table that differs in case, spaces and the like only."""
    return next((known for known in table if _plain(known) == _plain(name)), None)


def _plain(name: str) -> str:
    letters = re.sub(r"[\W_]", "", name.lower())
    return _ALIASES.get(letters, letters)


def _data_set(title: str, licence: str, layout: _Layout) -> DataSet:
    note = "" if layout.cases else "Patients are not published; patches of one may come into several folds."
    return DataSet(title, licence, partial(_read, layout), ("drop_unmapped", "classes"), note)


_NCT_FOLDERS = ("NCT-CRC-HE-100K", "NCT-CRC-HE-100K-NONORM")
_CC_BY = "CC BY 4.0; cite Kather et al."

DATA_SETS: dict[str, DataSet] = {
    layout.name: _data_set(title, licence, layout)
    for title, licence, layout in (
        (
            "Kather 2016: tissue patches in eight classes, 150 px",
            f"{_CC_BY} 2016",
            _Layout(
                "kather2016",
                0.495,
                150,
                5_000,
                KATHER_2016,
                ("Kather_texture_2016_image_tiles_5000",),
                centre="UMM",
                cases=re.compile(r"CRC-Prim-HE-\d+"),
            ),
        ),
        (
            "NCT-CRC-HE-100K: tissue patches in nine classes, 224 px",
            f"{_CC_BY} 2019",
            _Layout("nct-crc-he-100k", 0.5, 224, 100_000, NCT_CRC_HE, _NCT_FOLDERS),
        ),
        (
            "CRC-VAL-HE-7K: tissue patches in nine classes, 224 px",
            f"{_CC_BY} 2019",
            _Layout("crc-val-he-7k", 0.5, 224, 7_180, NCT_CRC_HE, ("CRC-VAL-HE-7K",)),
        ),
        (
            "CRC-TP: tissue patches in seven classes, 150 px",
            "research only; cite Javed et al. 2020",
            _Layout(
                "crc-tp",
                0.5,
                150,
                280_000,
                CRC_TP,
                ("Fold1", "Fold2"),
                ("Training", "Testing"),
                centre="UHCW",
            ),
        ),
    )
}
"""By name of the source."""
