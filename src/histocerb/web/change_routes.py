"""What changed between two results of a slide."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from histocerb.web.asked import ChoiceOf, ComparisonOf, CornersOf, KeptOf, Off, Share
from histocerb.web.change_selection import Wanted, taken_away
from histocerb.web.changes import CHANGE_COLOURS, WORDS
from histocerb.web.charts import css_of
from histocerb.web.pictures import crop
from histocerb.web.selection import Format, download

router = APIRouter(prefix="/api/slides/{name}/changes")

_MOST_ROWS = 200
_CROP_PX = 160

Side = Annotated[int, Path(ge=0, le=1)]


@router.get("")
def progress(comparison: ComparisonOf, name: str) -> dict[str, Any]:
    """How far the comparison is, and once it is done, its stamp; asking begins it."""
    share = comparison.share(name)
    stamp = comparison.differences(name).changes.stamp if share == 1.0 else None
    words = [{"name": word, "colour": css_of(CHANGE_COLOURS[word])} for word in WORDS]
    return {"share": share, "stamp": stamp, "changes": words, "other": comparison.partner(name)}


@router.get("/list")
def listed(
    comparison: ComparisonOf,
    name: str,
    choice: ChoiceOf,
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 60,
) -> dict[str, Any]:
    """Differences in an order, a page at a time, and the stamp of their pictures."""
    found = comparison.differences(name)
    numbers = found.listed(choice)
    shown = numbers[start : start + count].tolist()
    rows = [found.facts(found.pair(number)) for number in shown]
    return {"total": len(numbers), "stamp": found.changes.stamp, "rows": rows}


@router.get("/selection.{form}")
def selection(
    comparison: ComparisonOf,
    name: str,
    form: Format,
    corners: CornersOf,
    least: Share = 0.0,
    off: Off = None,
    shown: Literal["classes", "changes"] = "changes",
) -> StreamingResponse:
    """Objects of a polygon with what became of them, as a file."""
    changes = comparison.differences(name).changes
    first, second = comparison.titles
    wanted = Wanted(corners, least, off, shown)
    return download(f"{name}-changes", form, taken_away(changes, (first, second), wanted, form))


@router.get("/{side}/{object_id}")
def facts(comparison: ComparisonOf, name: str, side: Side, object_id: int) -> dict[str, Any]:
    """An object of one of the results, and the same one in the other."""
    found = comparison.differences(name)
    row = found.changes.opened[side].index.row_of(object_id)
    return found.facts(found.pair_of(side, row))


@router.get("/{side}/{object_id}/crop.jpg")
def picture(
    request: Request, comparison: ComparisonOf, kept: KeptOf, name: str, side: Side, object_id: int
) -> Response:
    """A picture of an object with the outlines that it has in both results."""
    found = comparison.differences(name)
    slide = comparison.desks[0].slide(name)
    row = found.changes.opened[side].index.row_of(object_id)
    box, outlines = found.drawn(found.pair_of(side, row))
    return kept.answer(
        request, found.changes.stamp, "image/jpeg", lambda: crop(slide, box, outlines, _CROP_PX)
    )
