"""Annotations of QuPath: GeoJSON beside images or slides.

A folder of images, or of slides that `open_slide` opens, each with its annotations under the same name::

    case-1.svs (or .png, .tif, .ndpi, ...)      image, of any format that `histocerb segment` reads
    case-1.geojson (or case-1.svs.geojson)      a FeatureCollection, a list of features, or one feature
    patients.csv                                optional: stem, patient; one row per image

Coordinates are level-0 pixels, from where QuPath begins (`Slide.origin_px`). A feature is a Polygon or a
MultiPolygon, with holes; for a cell with its nucleus (`nucleusGeometry`) the nucleus counts. Its class
(`properties.classification.name`) tells the task: names of ours, words for an object alone (`nucleus`,
`lumen`: of unknown class), or what `classes` maps to one of these. What has no class, or a class that is of
no task, is of the task that `task` names; without it that is an error, or is left out where unmapped classes
are dropped. Where objects of a task overlap, the later one in the file wins.

Rectangles of the class `region` (or of one mapped to it) become samples, and nothing outside them is read;
without any, an image of at most 20,000 px a side is one sample. A sample has the tasks that it has objects
of; the task that `task` names is annotated in all samples, also in those that have none of its objects.
Without `patients.csv` every image counts as a patient, apart from TCGA's: the same as in results and
corrected regions of it that name none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from histocerb.core.errors import DataError, SlideError
from histocerb.core.geometry import Region
from histocerb.core.outlines import Float
from histocerb.core.samples import Sample
from histocerb.core.tasks import CERBERUS
from histocerb.data.class_names import REGION, mapped, object_task, own_names
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.features import Feature, corners, read_features
from histocerb.data.sources.images import files_by_stem, in_both, tcga_patient
from histocerb.data.sources.outlined import Objects, cut, features_within
from histocerb.data.sources.patients import PATIENTS_FILE, read_patients
from histocerb.slides.files import SLIDE_SUFFIXES
from histocerb.slides.reader import Slide, open_slide

NAME = "qupath"
WHOLE_PX = 20_000
_ENDING = ".geojson"
_DICOM = ".dcm"
_IMAGES = SLIDE_SUFFIXES - {_DICOM}
_OWN = {task.name: own_names(task) for task in CERBERUS.objects}


def qupath(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a folder of images with annotations, in order of names.

    Raises:
        DataError: an image without annotations or the reverse, annotations that cannot be read or whose task
            is not known, a large image without a rectangle, a sample without any label.
        UsageError: `options.task` is no task of objects.
    """
    if options.task:
        object_task(options.task)
    entries: dict[str, Entry] = {}
    pairs = _pairs(folder)
    patients = read_patients(folder, [image.stem for image, _ in pairs])
    for image, drawn in pairs:
        patient = patients.get(image.stem) or tcga_patient(image.stem) or image.stem
        _, rectangles = _read(drawn, options)
        slide = _open(image, options)
        x, y = slide.origin_px
        bounds = Region(-x, -y, slide.width_px, slide.height_px)
        slide.close()
        for region in _regions(rectangles, bounds, drawn):
            name = image.stem if region == bounds else f"{image.stem}-x{region.x + x}-y{region.y + y}"
            if not options.task and not _read(drawn, options, region)[0]:
                raise DataError(
                    f"{drawn}: expected objects in {name}, found none; "
                    "say with --task what was looked for there"
                )
            if name in entries:
                raise DataError(
                    f"{drawn}: expected rectangles to differ, found {name} twice; delete one in QuPath"
                )
            load = partial(_load, name, image, drawn, region, options, patient)
            entries[name] = Entry(name, (image, drawn), load, recipe=patient)
    return [entries[name] for name in sorted(entries)]


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Images and their annotations."""
    found = files_by_stem(folder, (_ENDING,))
    images = files_by_stem(folder, _IMAGES)
    dicom = files_by_stem(folder, (_DICOM,))
    images |= {stem: path for stem, path in dicom.items() if {stem, path.name} & set(found)}
    named = {path.name: stem for stem, path in images.items()}
    labels: dict[str, Path] = {}
    for stem, path in found.items():
        image = named.get(stem, stem)
        if image in labels:
            raise DataError(f"{path}: expected one file per image, found {labels[image].name}; delete one")
        labels[image] = path
    return [(images[stem], labels[stem]) for stem in in_both(images, labels, folder)]


def _open(image: Path, options: ReadOptions) -> Slide:
    try:
        return open_slide(image, options.mpp)
    except SlideError as error:
        raise DataError(str(error)) from error


def _read(
    path: Path, options: ReadOptions, region: Region | None = None
) -> tuple[dict[str, Objects], list[Feature]]:
    """Objects per task, and the rectangles to read; of those whose bounds meet a region, if one is given."""
    features, around = _features(path, path.stat().st_mtime_ns)
    if region is not None:
        features = [features[k] for k in _meeting(around, region)]
    by_task: dict[str, Objects] = {options.task: []} if options.task else {}
    rectangles = []
    for feature in features:
        name = options.classes.get(feature.class_name, feature.class_name).strip().lower()
        if name == REGION:
            rectangles.append(feature)
        elif meaning := _meaning(name, path, options):
            by_task.setdefault(meaning[0], []).append((feature, meaning[1]))
    return by_task, rectangles


@lru_cache(maxsize=4)
def _features(path: Path, changed_ns: int) -> tuple[list[Feature], Float]:
    """Features of a file as it was at that time, with their corners; the rectangles of a slide share them."""
    features = read_features(path)
    return features, corners(features)


def _meeting(around: Float, region: Region) -> list[int]:
    """Which of the N rectangles, given by their corners, meet the region."""
    left, top, right, bottom = around.T
    meets = (left < region.right) & (right > region.x) & (top < region.bottom) & (bottom > region.y)
    return np.flatnonzero(meets).tolist()


def _meaning(name: str, path: Path, options: ReadOptions) -> tuple[str, str | None] | None:
    """Task and class of ours; nothing for what is to be left out."""
    for task, table in _OWN.items():
        if name in table:
            return task, table[name]
    if options.task:
        task = object_task(options.task).name
        table = _OWN[task] | {"": None}
        return task, mapped(name, table, path, drop_unmapped=options.drop_unmapped)
    every = {known: None for table in _OWN.values() for known in table}
    mapped(name, every, path, drop_unmapped=options.drop_unmapped)
    return None


def _regions(rectangles: Iterable[Feature], bounds: Region, path: Path) -> list[Region]:
    regions = []
    for feature in rectangles:
        rectangle = feature.rectangle()
        region = rectangle.intersect(bounds) if rectangle else None
        if region is None or region.is_empty:
            what = "another shape" if rectangle is None else f"one outside at {rectangle.x}, {rectangle.y}"
            raise DataError(
                f"{path}: expected rectangles on the image as {REGION}, found {what}; draw a rectangle"
            )
        regions.append(region)
    if not regions and max(bounds.width, bounds.height) > WHOLE_PX:
        raise DataError(
            f"{path}: expected a rectangle of class {REGION} on an image of {bounds.width} x {bounds.height} "
            f"pixels (more than {WHOLE_PX}), found none; draw one around what is annotated"
        )
    return regions or [bounds]


def _load(name: str, image: Path, drawn: Path, region: Region, options: ReadOptions, patient: str) -> Sample:
    by_task, _ = _read(drawn, options, region)
    slide = _open(image, options)
    pixels = cut(slide, region.shift(*slide.origin_px))  # shapes and regions count as QuPath does
    return Sample(
        pixels,
        slide.mpp,
        {task: features_within(objects, region) for task, objects in by_task.items()},
        source=NAME,
        patient=patient,
        name=name,
    )


DATA_SET = DataSet(
    title="QuPath: GeoJSON annotations beside images or slides",
    licence="",
    read=qupath,
    takes=("drop_unmapped", "mpp", "classes", "task"),
    note=f"Without {PATIENTS_FILE} (stem, patient) each image counts as a patient, apart from TCGA's.",
)
