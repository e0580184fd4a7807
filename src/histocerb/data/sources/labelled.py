"""Regions that people corrected: what `data.regions` wrote, after QuPath saved the GeoJSON anew.

Layout: that of `data.regions`. A GeoJSON that is byte for byte as the model left it was not looked at, so its
region is left out; whoever agrees with the model saves the file from QuPath as it is. Classes are named as
ours; the word for an object alone (`nucleus`, `lumen`) leaves its class open. Objects are cut at the border
of the image, and where those of a task overlap, the later one in the file wins. A sample is annotated for all
tasks that the model looks for, also for those without an object there, or for the tasks that were corrected.
Where `regions.json` names no patient every slide counts as one, apart from TCGA's; a name is the same patient
in whatever source it stands.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from histocerb.core.errors import DataError, UsageError
from histocerb.core.geometry import Region
from histocerb.core.samples import Provenance, Sample
from histocerb.core.tasks import CERBERUS
from histocerb.data.class_names import object_task, own_names
from histocerb.data.regions import REGIONS_FILE, SavedRegion, checksum, read_regions
from histocerb.data.rounds import source_of
from histocerb.data.sources.entry import Entry
from histocerb.data.sources.features import read_features
from histocerb.data.sources.images import read_rgb, stem_in_table, tcga_patient
from histocerb.data.sources.outlined import Objects, features_within


@dataclass(frozen=True)
class Correction:
    """What is known of the people's work.

    Attributes:
        round: from 1.
        annotator: who.
        date: when, as YYYY-MM-DD.
        tasks: names of the tasks that were corrected; () for all that the model looks for.
    """

    round: int
    annotator: str
    date: str
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.round < 1:
            raise UsageError(f"expected a round from 1, found {self.round}; give another --round")
        if not self.annotator.strip():
            raise UsageError("expected who corrected, found no name; give --annotator")
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError as error:
            raise UsageError(f"expected a date as YYYY-MM-DD, found {self.date!r}; write it so") from error
        for name in self.tasks:
            object_task(name)


def labelled(folders: Sequence[Path], correction: Correction) -> list[Entry]:
    """Entries of the regions that somebody saved since they were written, in order of names.

    Raises:
        DataError: no `regions.json`, a file of a region is missing, a region is in two folders, or none was
            saved.
    """
    entries: dict[str, Entry] = {}
    for folder, region in _saved(folders):
        if region.name in entries:
            raise DataError(
                f"{folder}: expected regions that differ, found {region.name} in another folder too; "
                "leave one of the folders out"
            )
        entries[region.name] = Entry(
            name=region.name,
            files=(region.png(folder), region.geojson(folder)),
            load=partial(_load, folder, region, correction),
            recipe=repr((region, correction)),
        )
    if not entries:
        raise DataError(
            f"{folders[0]}: expected corrected regions, found none that was saved since histocerb wrote it; "
            "export the objects from QuPath over the .geojson files"
        )
    return [entries[name] for name in sorted(entries)]


def untouched(folders: Sequence[Path]) -> list[str]:
    """Names of the regions that nobody saved since they were written; `labelled` leaves them out."""
    return [
        region.name for folder in folders for region in read_regions(folder) if _is_untouched(folder, region)
    ]


def without_patient(folders: Sequence[Path]) -> list[str]:
    """Names of the slides that count as a patient of their own: nothing says whose they are."""
    slides = {stem_in_table(region.slide) for _, region in _saved(folders) if not region.patient}
    return sorted(slide for slide in slides if tcga_patient(slide) is None)


def _saved(folders: Sequence[Path]) -> Iterator[tuple[Path, SavedRegion]]:
    """The regions that somebody saved, with their folder."""
    for folder in folders:
        for region in read_regions(folder):
            if not _is_untouched(folder, region):
                yield folder, region


def _is_untouched(folder: Path, region: SavedRegion) -> bool:
    path = region.geojson(folder)
    missing = [file for file in (region.png(folder), path) if not file.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: expected a file of a region in {REGIONS_FILE}, found none; put it back"
        )
    return checksum(path.read_bytes()) == region.geojson_sha256


def _load(folder: Path, region: SavedRegion, correction: Correction) -> Sample:
    image = read_rgb(region.png(folder))
    expected = tuple(
        round(length * region.slide_mpp / region.mpp) for length in (region.height, region.width)
    )
    if image.shape[:2] != expected:
        raise DataError(
            f"{region.png(folder)}: expected {expected} pixels, found {image.shape[:2]}; put it back"
        )
    found = _by_task(region.geojson(folder))
    stem = stem_in_table(region.slide)
    bounds = Region(0, 0, image.shape[1], image.shape[0])
    return Sample(
        image,
        region.mpp,
        {task: features_within(found.get(task, []), bounds) for task in correction.tasks or region.tasks},
        source=source_of(correction.round),
        patient=region.patient or tcga_patient(stem) or stem,
        name=region.name,
        provenance=Provenance(
            correction.round,
            correction.annotator,
            correction.date,
            f"{region.model} sha256:{region.model_sha256}",
        ),
    )


def _by_task(path: Path) -> dict[str, Objects]:
    """Objects per task name.

    Raises:
        DataError: a class that is none of ours, or none at all.
    """
    meaning = {name: (task.name, own) for task in CERBERUS.objects for name, own in own_names(task).items()}
    found: dict[str, Objects] = {}
    for feature in read_features(path):
        name = feature.class_name.strip().lower()
        if name not in meaning:
            raise DataError(
                f"{path}: expected classes {', '.join(meaning)}, found {feature.class_name!r}; "
                "change the class of that annotation in QuPath, or delete it"
            )
        task, own = meaning[name]
        found.setdefault(task, []).append((feature, own))
    return found
