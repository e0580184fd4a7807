"""What is drawn over a slide: outlines at high zoom, dots at low zoom."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from histocerb.web.asked import DeskOf, KeptOf, Level, Number, Share, ShownOf, class_codes
from histocerb.web.density import chosen_rows, density_tile
from histocerb.web.outlines import MOST_DETAIL, object_tile
from histocerb.web.pictures import TILE_PX, webp

router = APIRouter(prefix="/api/slides/{name}")

_BINARY = "application/octet-stream"
_DRAWING = threading.Semaphore(2)
"""A tile of dots of a whole slide takes some tens of megabytes while it is drawn."""

_MARGIN_PX = 64
"""Around a tile of dots, at its level; dots are smaller."""


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


@router.get("/grid/{kind}.bin")
def grid(request: Request, desk: DeskOf, kept: KeptOf, name: str, kind: str) -> Response:
    """How many objects every square has, as uint32 in raster order: decides between outlines and dots."""
    one = desk.result(name)
    bounds = one.index.grids[one.index.kind_code(kind)].bounds
    return kept.answer(
        request, one.stamp, _BINARY, lambda: (bounds[1:] - bounds[:-1]).astype("<u4").tobytes()
    )


@router.get("/dots/{kind}/{level}/{column}_{row}.webp")
def dots(
    request: Request,
    shown: ShownOf,
    kept: KeptOf,
    kind: str,
    level: Level,
    column: Number,
    row: Number,
    radius: Annotated[float, Query(gt=0, le=1000)],
    classes: str | None = None,
    least: Share = 0.0,
) -> Response:
    """A tile of dots over the tile of the slide."""
    index = shown.index
    code, chosen = index.kind_code(kind), class_codes(index, classes)
    side, margin = float(TILE_PX << level), float(_MARGIN_PX << level)
    left, top = column * side - margin, row * side - margin
    box = left, top, left + side + 2 * margin, top + side + 2 * margin

    def draw() -> bytes:
        with _DRAWING:
            rows = chosen_rows(index, code, box, chosen, least)
            return webp(density_tile(index, rows, (level, column, row), radius))

    return kept.answer(request, shown.stamp, "image/webp", draw)
