"""What belongs to a slide as a whole: the cohort, the slide, its pixels and tissue."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from histocerb.core.errors import SlideError, UsageError
from histocerb.inference.tables import TISSUE_FILE
from histocerb.web.asked import DeskOf, KeptOf, Level, MaterialOf, Number
from histocerb.web.describe import cohort_facts, slide_facts
from histocerb.web.opened import Desk
from histocerb.web.pictures import thumbnail, tile, tile_region
from histocerb.web.results import own_file
from histocerb.web.stain import stain_warning
from histocerb.web.tissue import tissue_cells

router = APIRouter(prefix="/api")

_THUMBNAIL_PX = 1024


@router.get("/cohort")
def cohort(material: MaterialOf) -> dict[str, Any]:
    """All slides with their states and figures."""
    return cohort_facts(material.desk.cohort, material.comparison)


@router.get("/slides/{name}")
def slide(desk: DeskOf, name: str) -> dict[str, Any]:
    """One slide: size, kinds, classes, colours, manifest."""
    return slide_facts(desk.entry(name), name, _problem(desk, name))


@router.get("/slides/{name}/thumbnail.jpg")
def small(
    request: Request,
    desk: DeskOf,
    kept: KeptOf,
    name: str,
    side: Annotated[int, Query(ge=16, le=_THUMBNAIL_PX)] = 256,
) -> Response:
    """The whole slide."""
    source = desk.slide(name)
    return kept.answer(request, _stamp(desk, name), "image/jpeg", lambda: thumbnail(source, side))


@router.get("/slides/{name}/stain")
def stain(request: Request, desk: DeskOf, kept: KeptOf, name: str) -> Response:
    """A sentence where the stain of a slide is unusual, else an empty one; apart, as it takes its pixels."""
    source = desk.slide(name)
    stamp = _stamp(desk, name)
    return kept.answer(request, stamp, "application/json", lambda: _sentence(stain_warning(source)))


@router.get("/slides/{name}/tiles/{level}/{column}_{row}.jpg")
def pixels(
    request: Request, desk: DeskOf, kept: KeptOf, name: str, level: Level, column: Number, row: Number
) -> Response:
    """A tile of the slide."""
    source = desk.slide(name)
    region = tile_region(source, level, column, row)
    if region.is_empty:
        raise UsageError(f"expected a tile of {name}, found {column}, {row} of level {level} outside it")
    return kept.answer(request, _stamp(desk, name), "image/jpeg", lambda: tile(source, level, region))


@router.get("/slides/{name}/tissue.bin")
def tissue(request: Request, desk: DeskOf, kept: KeptOf, name: str) -> Response:
    """All cells of tissue."""
    one = desk.result(name)
    path = own_file(one.folder, TISSUE_FILE)
    return kept.answer(request, one.stamp, "application/octet-stream", lambda: tissue_cells(path, one.spec))


def _sentence(text: str) -> bytes:
    return json.dumps({"warning": text}).encode()


def _problem(desk: Desk, name: str) -> str | None:
    try:
        desk.slide(name)
    except SlideError as error:
        return str(error)
    return None


def _stamp(desk: Desk, name: str) -> str:
    return str(desk.cohort.manifest(name).slide["fingerprint"])
