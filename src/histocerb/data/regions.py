"""Folders of regions that people correct: pixels, what a model found on them, and where they are from.

Layout, one set of files per region::

    regions.json        a list of `SavedRegion`, by name
    NAME.png            pixels at the working resolution
    NAME.geojson        every object that has a pixel in the region, in pixels of the PNG, for QuPath

Objects that the border cuts are whole in the GeoJSON and may reach beyond the image: were they left out,
their part inside would be learned as background. They are cut when the file is read back. All objects are
annotations, because QuPath does not let people edit detections.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from histocerb.core.errors import DataError, OutputError
from histocerb.core.geometry import Region
from histocerb.core.proposal import Proposal
from histocerb.core.qupath import write_features
from histocerb.core.tasks import TaskSpec
from histocerb.core.wkb import decode_polygons, encode_polygons
from histocerb.data.sources.images import named_patient, stem_in_table
from histocerb.slides.reader import Slide

REGIONS_FILE = "regions.json"


@dataclass(frozen=True)
class Origin:
    """What regions are cut from.

    Attributes:
        slide: the slide.
        working_mpp: micrometres per working pixel, that of proposals and of the PNG.
        model: name of the model whose objects are corrected.
        model_sha256: of its weights.
        spec: its tasks.
        patient: whose slide it is, "" where nothing says it.
    """

    slide: Slide
    working_mpp: float
    model: str
    model_sha256: str
    spec: TaskSpec
    patient: str = ""


@dataclass(frozen=True)
class SavedRegion:
    """A row of `regions.json`.

    Attributes:
        name: of its files.
        slide: path of the slide.
        x, y, width, height: in level-0 pixels of the slide.
        slide_mpp: micrometres per level-0 pixel.
        mpp: of the PNG.
        model, model_sha256: as in `Origin`.
        tasks: names of the tasks of objects that the model looks for: the GeoJSON is complete for them.
        score, reasons: as in `core.proposal.Proposal`.
        geojson_sha256: of the GeoJSON as it was written; another one shows that somebody saved it since.
        patient: as in `Origin`; files of earlier versions do not have it.
    """

    name: str
    slide: str
    x: float
    y: float
    width: float
    height: float
    slide_mpp: float
    mpp: float
    model: str
    model_sha256: str
    tasks: tuple[str, ...]
    score: float
    reasons: tuple[str, ...]
    geojson_sha256: str
    patient: str = ""

    def png(self, folder: Path) -> Path:
        """Its image."""
        return folder / f"{self.name}.png"

    def geojson(self, folder: Path) -> Path:
        """Its objects."""
        return folder / f"{self.name}.geojson"


ObjectsOn = Callable[[Region], pa.Table]
"""Rows of the object table on a region of working pixels; rows elsewhere may be among them."""


def write_regions(
    out: Path, origin: Origin, proposals: Sequence[Proposal], objects_on: ObjectsOn
) -> list[SavedRegion]:
    """Add regions to the folder `out`, which is made if need be.

    Returns:
        Those that were added.

    Raises:
        OutputError: a region of that name is there, perhaps corrected already, or `out` cannot be written.
        SlideError: the slide cannot be read there.
    """
    earlier = read_regions(out) if (out / REGIONS_FILE).exists() else []
    taken = {region.name for region in earlier}
    names = [_name(origin, proposal.region) for proposal in proposals]
    if again := sorted(taken & set(names)):
        raise OutputError(
            f"{out}: expected a folder without region {again[0]}, found one that may be corrected already; "
            "choose another --out"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        added = [
            _write_region(out, name, origin, proposal, objects_on(proposal.region))
            for name, proposal in zip(names, proposals, strict=True)
        ]
        rows = sorted([*earlier, *added], key=lambda region: region.name)
        text = json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False)
        _write_whole(out / REGIONS_FILE, f"{text}\n".encode())
    except OSError as error:
        raise OutputError(
            f"{out}: expected a folder to write regions to, found {error}; choose another --out"
        ) from error
    return added


def read_regions(folder: Path) -> list[SavedRegion]:
    """The regions of a folder, in order of names.

    Raises:
        DataError: there is no `regions.json`, or it is damaged.
    """
    path = folder / REGIONS_FILE
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        regions = [SavedRegion(**_fields(row)) for row in rows]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected the regions that histocerb data regions wrote, found {error}; "
            "give the folder that it wrote"
        ) from error
    return sorted(regions, key=lambda region: region.name)


def checksum(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """Values for `SavedRegion`; the patient may be written by hand."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return values | {"patient": named_patient(row)}


def _name(origin: Origin, region: Region) -> str:
    factor = origin.working_mpp / origin.slide.mpp
    return f"{stem_in_table(origin.slide.path)}-x{round(region.x * factor)}-y{round(region.y * factor)}"


def _write_region(out: Path, name: str, origin: Origin, proposal: Proposal, objects: pa.Table) -> SavedRegion:
    region, factor = proposal.region, origin.working_mpp / origin.slide.mpp
    x, y, width, height = (
        round(length * factor, 3) for length in (region.x, region.y, region.width, region.height)
    )
    content = _geojson(_moved(objects, region, factor), origin.spec)
    saved = SavedRegion(
        name=name,
        slide=origin.slide.path,
        x=x,
        y=y,
        width=width,
        height=height,
        slide_mpp=origin.slide.mpp,
        mpp=origin.working_mpp,
        model=origin.model,
        model_sha256=origin.model_sha256,
        tasks=tuple(task.name for task in origin.spec.objects),
        score=proposal.score,
        reasons=proposal.reasons,
        geojson_sha256=checksum(content),
        patient=origin.patient,
    )
    _write_whole(saved.png(out), _png(origin.slide.read(region, origin.working_mpp)))
    _write_whole(saved.geojson(out), content)
    return saved


def _moved(objects: pa.Table, region: Region, factor: float) -> pa.Table:
    """The rows that have a pixel in the region, with outlines in its pixels."""
    outlines = decode_polygons(objects["geometry"]).transform(1.0 / factor, (-region.x, -region.y))
    kinds = np.array(objects["kind"].to_pylist(), object)
    numbers = np.arange(1, len(objects) + 1, dtype=np.int32)
    kept: set[int] = set()
    for kind in sorted(set(kinds)):
        rows = np.flatnonzero(kinds == kind)
        painted = outlines.select(rows).paint((region.height, region.width), numbers[rows])
        kept |= set((np.unique(painted[painted > 0]) - 1).tolist())
    chosen = sorted(kept)
    place = objects.schema.get_field_index("geometry")
    geometry = encode_polygons(outlines.select(np.array(chosen, np.int64)))
    return objects.take(pa.array(chosen, pa.int64())).set_column(place, "geometry", geometry)


def _geojson(objects: pa.Table, spec: TaskSpec) -> bytes:
    buffer = io.BytesIO()
    write_features(objects.combine_chunks().to_batches(), buffer, {task.kind for task in spec.objects})
    return buffer.getvalue()


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _write_whole(path: Path, content: bytes) -> None:
    """Under a temporary name first, so that a file of that name is complete."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
