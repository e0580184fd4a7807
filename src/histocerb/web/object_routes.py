"""Objects as facts: counts, one object, sorted galleries, selections to take away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from histocerb.web.asked import ChoiceOf, CornersOf, DeskOf, KeptOf, Off, Share, ShownOf
from histocerb.web.pictures import Drawn, crop
from histocerb.web.queries import contents, counts, row_facts, rows_in
from histocerb.web.selection import (
    Format,
    as_csv,
    as_geojson,
    columns_of,
    download,
    of_result,
    switched_off,
    switched_on,
)

router = APIRouter(prefix="/api/slides/{name}")

_MOST_ROWS = 200
_CROP_PX = 160


@router.get("/counts")
def count(shown: ShownOf, corners: CornersOf, least: Share = 0.0) -> dict[str, dict[str, int]]:
    """Objects per kind and class, in a polygon or in all."""
    return counts(shown.index, shown.index.confident(rows_in(shown.index, corners), least))


@router.get("/objects/{object_id}")
def facts(desk: DeskOf, name: str, object_id: int) -> dict[str, Any]:
    """One object and what lies in it."""
    index = desk.result(name).index
    return row_facts(index, index.row_of(object_id)) | {"contents": contents(index, object_id)}


@router.get("/objects/{object_id}/crop.jpg")
def picture(request: Request, desk: DeskOf, kept: KeptOf, name: str, object_id: int) -> Response:
    """A picture of one object."""
    one, slide = desk.result(name), desk.slide(name)
    row = one.index.row_of(object_id)

    def outlines() -> list[Drawn]:
        return [(one.outlines.rings_of(row), one.index.colour_of(row))]

    return kept.answer(
        request,
        one.stamp,
        "image/jpeg",
        lambda: crop(slide, one.index.boxes[row], outlines(), _CROP_PX),
    )


@router.get("/gallery")
def gallery(
    desk: DeskOf,
    name: str,
    choice: ChoiceOf,
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 60,
) -> dict[str, Any]:
    """Sorted objects, a page at a time."""
    one = desk.result(name)
    rows = one.orders.rows(choice)
    shown = rows[start : start + count].tolist()
    return {"total": len(rows), "rows": [row_facts(one.index, row) for row in shown]}


@router.get("/neighbour")
def neighbour(desk: DeskOf, name: str, choice: ChoiceOf, object_id: int, step: int) -> dict[str, int | None]:
    """The id some steps further in an order, around its ends; its first where the object is not in it."""
    one = desk.result(name)
    rows = one.orders.rows(choice)
    if not len(rows):
        return {"id": None}
    place = (rows == one.index.row_of(object_id)).nonzero()[0]
    target = (int(place[0]) + step) % len(rows) if len(place) else 0
    return {"id": int(one.index.columns["object_id"][rows[target]])}


@router.get("/selection.{form}")
def selection(
    desk: DeskOf, name: str, form: Format, corners: CornersOf, least: Share = 0.0, off: Off = None
) -> StreamingResponse:
    """Objects of a polygon as a file, without the kinds and classes that are switched off."""
    one = desk.result(name)
    rows = one.index.confident(rows_in(one.index, corners), least)
    rows = switched_on(one.index, rows, switched_off(off, one.index))
    batches = (batch for _, batch in of_result(one, rows))
    pieces = as_csv(batches, columns_of(one)) if form is Format.CSV else as_geojson(batches, [one])
    return download(name, form, pieces)
