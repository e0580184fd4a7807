"""What is drawn over a slide: outlines at high zoom, dots at low zoom, head maps."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from histocerb.web.asked import DeskOf, KeptOf, Level, Number, Share, ShownOf, class_codes
from histocerb.web.density import Dotted, density_tile
from histocerb.web.maps import channels_of, map_tile
from histocerb.web.outlines import MOST_DETAIL, object_tile
from histocerb.web.pictures import webp
from histocerb.web.squares import squares

router = APIRouter(prefix="/api/slides/{name}")

_BINARY = "application/octet-stream"
_DRAWING = threading.Semaphore(2)
"""A tile of dots of a whole slide takes some tens of megabytes while it is drawn."""

_LEAST_RADIUS_PX = 0.5


@router.get("/outlines/{kind}/{detail}/{column}_{row}.bin")
def outlines(
    request: Request,
    shown: ShownOf,
    kept: KeptOf,
    kind: str,
    detail: Annotated[int, Path(ge=0, le=MOST_DETAIL)],
    column: Number,
    row: Number,
) -> Response:
    """Objects of a tile; `outlines.object_tile` says how they are written."""
    code = shown.index.kind_code(kind)
    return kept.answer(
        request,
        shown.stamp,
        _BINARY,
        lambda: object_tile(shown.index, shown.opened.outlines, code, (detail, column, row)),
    )


@router.get("/squares.bin")
def grid(request: Request, desk: DeskOf, kept: KeptOf, name: str) -> Response:
    """How many objects every square has; `squares.squares` says how they are written."""
    one = desk.result(name)
    return kept.answer(request, one.stamp, _BINARY, lambda: squares(one.index))


@router.get("/maps/{head}/{channel}/{level}/{column}_{row}.webp")
def maps(
    request: Request,
    desk: DeskOf,
    kept: KeptOf,
    name: str,
    head: str,
    channel: str,
    level: Level,
    column: Number,
    row: Number,
) -> Response:
    """A tile of a head map over the tile of the slide; `all` channels are mixed in their colours."""
    entry = desk.entry(name)
    chosen = channels_of(entry, head, channel)

    def draw() -> bytes:
        with _DRAWING:
            return webp(map_tile(entry, chosen, (level, column, row)))

    return kept.answer(request, entry.stamp, "image/webp", draw)


@router.get("/dots/{kind}/{level}/{column}_{row}.webp")
def dots(
    request: Request,
    shown: ShownOf,
    kept: KeptOf,
    kind: str,
    level: Level,
    column: Number,
    row: Number,
    classes: str | None = None,
    least: Share = 0.0,
) -> Response:
    """A tile of dots, in squares of `density.TILE_PX` pixels of its level."""
    index = shown.index
    dotted = Dotted(index.kind_code(kind), class_codes(index, classes), least)
    diameter_px = index.grids[dotted.kind_code].diameter_um / shown.opened.manifest.slide["mpp"]

    def draw() -> bytes:
        with _DRAWING:
            radius = max(_LEAST_RADIUS_PX, diameter_px / 2)
            return webp(density_tile(index, dotted, (level, column, row), radius))

    return kept.answer(request, shown.stamp, "image/webp", draw)
