"""What requests have in common: the results they are about, and the parts of their addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Path, Query, Request

from histocerb.core.errors import UsageError
from histocerb.web.answers import Kept
from histocerb.web.comparison import Comparison
from histocerb.web.index import ObjectIndex
from histocerb.web.opened import Desk, Opened
from histocerb.web.queries import Choice, Point


@dataclass(frozen=True)
class Material:
    """What an application answers from.

    Attributes:
        desk: its results.
        kept: answers.
        comparison: of these results with others, if there are any.
        side: 0 for the first of both, 1 for the second.
    """

    desk: Desk
    kept: Kept
    comparison: Comparison | None = None
    side: int = 0


@dataclass(frozen=True)
class Shown:
    """Objects as they are shown: with their classes, or with what became of them.

    Attributes:
        opened: their result.
        index: the objects.
        stamp: changes when what is shown does.
    """

    opened: Opened
    index: ObjectIndex
    stamp: str


def answer_from(app: FastAPI, material: Material) -> None:
    """Let the routes of an application answer from this."""
    app.state.material = material


def _material(request: Request) -> Material:
    material: Material = request.app.state.material
    return material


def _desk(request: Request) -> Desk:
    return _material(request).desk


def _kept(request: Request) -> Kept:
    return _material(request).kept


def _comparison(request: Request) -> Comparison:
    comparison = _material(request).comparison
    if comparison is None:
        raise UsageError("expected two results, found one; start histocerb view with --compare")
    return comparison


def _shown(request: Request, name: str, shown: Literal["classes", "changes"] = "classes") -> Shown:
    material = _material(request)
    if shown == "classes":
        one = material.desk.result(name)
        return Shown(one, one.index, one.stamp)
    comparison = _comparison(request)
    changes = comparison.differences(comparison.name_of(material.side, name)).changes
    return Shown(changes.opened[material.side], changes.indices[material.side], changes.stamp)


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
MaterialOf = Annotated[Material, Depends(_material)]
ComparisonOf = Annotated[Comparison, Depends(_comparison)]
ShownOf = Annotated[Shown, Depends(_shown)]
ChoiceOf = Annotated[Choice, Depends(_choice)]
CornersOf = Annotated[list[Point] | None, Depends(_corners)]
Number = Annotated[int, Path(ge=0, le=1 << 20)]
Level = Annotated[int, Path(ge=0, le=24)]
Off = Annotated[str | None, Query(max_length=2000)]
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
