"""What requests have in common: the results they are about, and the parts of their addresses."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from histocerb.core.errors import UsageError
from histocerb.web.answers import Kept
from histocerb.web.index import ObjectIndex
from histocerb.web.opened import Desk
from histocerb.web.queries import Choice, Point


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _kept(request: Request) -> Kept:
    kept: Kept = request.app.state.kept
    return kept


def _choice(
    kind: str,
    class_name: str | None = None,
    least: Annotated[float, Query(ge=0, le=1)] = 0.0,
    by: str = "object_id",
    descending: bool = False,
) -> Choice:
    return Choice(kind, class_name, least, by, descending)


def _corners(corners: Annotated[str | None, Query(max_length=400)] = None) -> list[Point] | None:
    """`x,y,x,y,...` of a convex polygon in level-0 pixels."""
    if corners is None:
        return None
    try:
        values = [float(text) for text in corners.split(",")]
        points = list(zip(values[::2], values[1::2], strict=True))
    except ValueError:
        points = []
    if len(points) < 3 or any(not abs(value) < 1e9 for point in points for value in point):
        raise UsageError(f"expected corners as x,y,x,y,x,y, found {corners!r}")
    return points


DeskOf = Annotated[Desk, Depends(_desk)]
KeptOf = Annotated[Kept, Depends(_kept)]
ChoiceOf = Annotated[Choice, Depends(_choice)]
CornersOf = Annotated[list[Point] | None, Depends(_corners)]
Number = Annotated[int, Path(ge=0, le=1 << 20)]
Level = Annotated[int, Path(ge=0, le=24)]
Share = Annotated[float, Query(ge=0, le=1)]


def class_codes(index: ObjectIndex, classes: str | None) -> list[int] | None:
    """Codes of class names that are separated by commas; None where all are meant.

    Raises:
        UsageError: There is no such class.
    """
    if classes is None:
        return None
    names = [name for name in classes.split(",") if name]
    for name in names:
        if name not in index.classes:
            raise UsageError(f"expected classes of {', '.join(index.classes)}, found {name!r}")
    return [index.classes.index(name) for name in names]
