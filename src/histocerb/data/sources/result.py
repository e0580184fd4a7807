"""Our own results: objects that `histocerb segment` found, in rectangles of their slide.

Layout, as written; the rectangles lie beside the objects of their slide::

    OUT/<slide>/manifest.json       with the path, fingerprint and resolution of the slide
    OUT/<slide>/objects.parquet     outlines in level-0 pixels
    OUT/<slide>/regions.json        [{"name": "r1", "x": 0, "y": 0, "width": 2000, "height": 2000}, ...]
    OUT/<slide>/columns.json        where the table of slides had more columns: {"patient": "P1", ...}

`histocerb data regions` writes such rectangles, or they are written by hand. They are rounded to whole
pixels; those of another slide (`"slide": "path"`) are passed over. OUT or the folder of one slide may be
given; slides without rectangles are left out. The patient is that of the rectangle (`"patient": "P1"`), else
that of the slide's columns, the same in whatever source the name stands; without one every slide counts as a
patient, apart from TCGA's.

The labels are what the model found, not what a person saw: they are good to look at, to train a smaller model
on, or as a beginning for corrections. All tasks of the model count as annotated.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from histocerb.core.errors import DataError, SlideError
from histocerb.core.geometry import Region
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS, Task
from histocerb.core.wkb import decode_polygons
from histocerb.data.class_names import mapped, own_names
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import named_patient, stem_in_table, tcga_patient
from histocerb.data.sources.outlined import cut, objects_within
from histocerb.slides.reader import Slide, open_slide
from histocerb.slides.remote import place

NAME = "result"
_MANIFEST, _OBJECTS, _REGIONS = "manifest.json", "objects.parquet", "regions.json"
_CARRIED = "columns.json"
_DONE = "done"
_COLUMNS = ["kind", "class", "geometry"]
_BBOX = ("xmin", "ymin", "xmax", "ymax")
_SIDES = ("x", "y", "width", "height")
_ROUNDING_PX = 1


def result(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a result folder, in order of names.

    Raises:
        DataError: no result, none with rectangles, a result that is not whole, a slide that is missing or is
            not the one of the result.
    """
    entries: dict[str, Entry] = {}
    for found in _results(folder):
        manifest = _json(found / _MANIFEST)
        slide = _slide(manifest, found)
        bounds = Region(0, 0, slide.width_px, slide.height_px)
        slide.close()
        whose = _patient(found, slide.path)
        for label, region, named in _regions(found / _REGIONS, bounds, slide.path):
            name = f"{found.name}-{label}"
            if name in entries:
                raise DataError(
                    f"{found / _REGIONS}: expected names to differ, found {label} twice; rename one"
                )
            files = (Path(slide.path), *(found / file for file in (_OBJECTS, _MANIFEST, _REGIONS)))
            patient = named or whose
            load = partial(_load, name, found, region, options, patient)
            entries[name] = Entry(name, files, load, recipe=patient)
    return [entries[name] for name in sorted(entries)]


def _results(folder: Path) -> list[Path]:
    """Folders of slides that have rectangles."""
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in (folder, *below) if (path / _OBJECTS).is_file()]
    if not found:
        raise DataError(
            f"{folder}: expected what histocerb segment wrote ({_OBJECTS}), found none; give its folder"
        )
    chosen = [path for path in found if (path / _REGIONS).is_file()]
    if not chosen:
        raise DataError(
            f"{found[0] / _REGIONS}: expected rectangles to read, found no such file; "
            f"make it with: histocerb data regions {found[0]} --most-uncertain 5 --out {found[0]}"
        )
    return chosen


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected JSON of histocerb, found {error}; write it again") from error


def _slide(manifest: Any, folder: Path) -> Slide:
    """The slide of a finished result."""
    path = folder / _MANIFEST
    try:
        status, about = manifest["status"], manifest["slide"]
        named, mpp, fingerprint = place(about["path"]), float(about["mpp"]), about["fingerprint"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: expected a manifest of histocerb, found {error!r}; segment again"
        ) from error
    if status != _DONE:
        raise DataError(f"{path}: expected a finished result, found {status}; segment the slide again")
    places = (named, folder / named.name, folder.parent / named.name)
    source = next((one for one in places if isinstance(one, Path) and one.exists()), named)
    try:
        slide = open_slide(source, mpp)
        if slide.fingerprint() != fingerprint:
            slide.close()
            raise DataError(f"{source}: expected the slide of {folder}, found another; put it back")
    except SlideError as error:
        raise DataError(f"{path}: expected the slide that was segmented, found: {error}") from error
    return slide


def _patient(folder: Path, slide: str) -> str:
    """Whose a slide is, as its columns say; else as its name does."""
    path, stem = folder / _CARRIED, Path(slide).stem
    named = named_patient(_json(path)) if path.is_file() else ""
    return named or tcga_patient(stem) or stem


def _regions(path: Path, bounds: Region, slide: str) -> list[tuple[str, Region, str]]:
    """Name, place and patient ("" for none) of the rectangles on that slide, rounded to whole pixels."""
    content = _json(path)
    try:
        here = [row for row in content if stem_in_table(str(row.get("slide", slide))) == stem_in_table(slide)]
        found = [
            (str(row["name"]), _rounded(*(float(row[side]) for side in _SIDES)), named_patient(row))
            for row in here
        ]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(
            f"{path}: expected a list of name, {', '.join(_SIDES)}, found {error!r}; correct it"
        ) from error
    for name, region, _ in found:
        if region.is_empty or not bounds.grow(_ROUNDING_PX).contains(region):
            raise DataError(
                f"{path}: expected rectangles within {bounds.width} x {bounds.height} pixels, "
                f"found {name} at {region.x}, {region.y}; correct it"
            )
    if not found:
        raise DataError(f"{path}: expected rectangles on {slide}, found none; delete the file or add some")
    return [(name, region.intersect(bounds), patient) for name, region, patient in found]


def _rounded(x: float, y: float, width: float, height: float) -> Region:
    left, top = round(x), round(y)
    return Region(left, top, round(x + width) - left, round(y + height) - top)


def _load(name: str, folder: Path, region: Region, options: ReadOptions, patient: str) -> Sample:
    manifest = _json(folder / _MANIFEST)
    slide = _slide(manifest, folder)
    image = cut(slide, region)
    path = folder / _OBJECTS
    rows = _rows(path, region)
    found = [task for task in CERBERUS.objects if task.kind in manifest.get("counts", {})]
    return Sample(
        image,
        slide.mpp,
        {task.name: _labels(rows, task, region, path, options) for task in found},
        source=NAME,
        patient=patient,
        name=name,
    )


def _rows(path: Path, region: Region) -> pa.Table:
    """Rows whose bounds meet the rectangle; outlines are read of row groups that have some only."""
    try:
        with pq.ParquetFile(path) as file:
            empty = file.schema_arrow.empty_table().select(_COLUMNS)
            groups = [_rows_of_group(file, group, region) for group in range(file.num_row_groups)]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(f"{path}: expected objects of histocerb, found {error}; segment again") from error
    return pa.concat_tables([empty, *(rows for rows in groups if rows is not None)])


def _rows_of_group(file: pq.ParquetFile, group: int, region: Region) -> pa.Table | None:
    box = file.read_row_group(group, columns=["bbox"]).flatten()
    left, top, right, bottom = (box.column(f"bbox.{side}").to_numpy() for side in _BBOX)
    meets = (left < region.right) & (right > region.x) & (top < region.bottom) & (bottom > region.y)
    if not meets.any():
        return None
    return file.read_row_group(group, columns=_COLUMNS).take(np.flatnonzero(meets))


def _labels(rows: pa.Table, task: Task, region: Region, path: Path, options: ReadOptions) -> ObjectLabels:
    chosen = rows.filter(pc.equal(rows.column("kind").cast(pa.string()), pa.scalar(task.kind)))
    table = own_names(task) | dict(options.classes)
    names = [
        name and mapped(name, table, path, drop_unmapped=options.drop_unmapped)
        for name in chosen.column("class").cast(pa.string()).to_pylist()
    ]
    ids = np.arange(1, len(chosen) + 1, dtype=np.int32)
    classes = {k: name for k, name in enumerate(names, 1) if name}
    return objects_within(decode_polygons(chosen.column("geometry")), ids, classes, region)


DATA_SET = DataSet(
    title="Results of histocerb segment, in rectangles of their slides",
    licence="",
    read=result,
    takes=("drop_unmapped", "classes"),
    note="The labels are what a model found, not what a person saw. Without a column patient in the table of "
    "slides each slide counts as a patient, apart from TCGA's.",
)
