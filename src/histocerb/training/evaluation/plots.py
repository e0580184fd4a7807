"""Small charts as SVG: calibration of probabilities, and FROC curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_WIDTH, _HEIGHT = 460, 400
_LEFT, _TOP, _SIDE = 70, 30, 300
_INK, _FAINT, _BLUE = "#1e1e24", "#c8c8d2", "#0072b2"

Point = tuple[float, float]


def calibration_chart(bins: Sequence[dict[str, Any]], title: str) -> str:
    """Share of predictions that came true against their probability; grey bars show how many there are."""
    total = max(sum(row["n"] for row in bins), 1)
    points = [(row["confidence"], row["accuracy"]) for row in bins]
    parts = [_bar((row["low"], row["high"]), row["n"] / total) for row in bins]
    parts += [_line([(0.0, 0.0), (1.0, 1.0)], _INK, dashed=True), _line(points, _BLUE), *_dots(points)]
    ticks = [(step / 5, f"{step / 5:g}") for step in range(6)]
    return _chart(parts, title, ("probability that was given", "share that came true"), ticks)


def froc_chart(curve: Sequence[Sequence[float | None]], title: str) -> str:
    """Sensitivity against false positives per image, on a square-root axis up to the last point."""
    known = [(x, y) for _, x, y in curve if x is not None and y is not None]
    most = max((x for x, _ in known), default=0.0) or 1.0
    points = [((x / most) ** 0.5, y) for x, y in known]
    ticks = [((share / 4) ** 0.5, f"{most * share / 4:.3g}") for share in range(5)]
    return _chart(
        [_line(points, _BLUE)], title, ("false positives per image", "share of the truth found"), ticks
    )


def _chart(
    parts: Iterable[str], title: str, axes: tuple[str, str], ticks: Sequence[tuple[float, str]]
) -> str:
    marks = [_tick(at, text, upright=False) for at, text in ticks]
    marks += [_tick(step / 5, f"{step / 5:g}", upright=True) for step in range(6)]
    middle, bottom = _LEFT + _SIDE / 2, _TOP + _SIDE
    texts = [
        _text((middle, 18), title),
        _text((middle, bottom + 42), axes[0]),
        f'<g transform="translate(22 {_TOP + _SIDE / 2}) rotate(-90)">{_text((0, 0), axes[1])}</g>',
    ]
    frame = f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="{_INK}"/>'
    body = "\n".join([*marks, *parts, frame, *texts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _place(point: Point) -> Point:
    return _LEFT + _SIDE * point[0], _TOP + _SIDE * (1 - point[1])


def _bar(ends: tuple[float, float], share: float) -> str:
    (left, top), (right, bottom) = _place((ends[0], share)), _place((ends[1], 0.0))
    size = f'width="{right - left - 1:.1f}" height="{bottom - top:.1f}"'
    return f'<rect x="{left + 0.5:.1f}" y="{top:.1f}" {size} fill="{_FAINT}"/>'


def _line(points: Sequence[Point], colour: str, *, dashed: bool = False) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_place, points))
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    width = 1 if dashed else 2
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'


def _dots(points: Sequence[Point]) -> list[str]:
    return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_BLUE}"/>' for x, y in map(_place, points)]


def _tick(at: float, text: str, *, upright: bool) -> str:
    x, y = _place((0.0, at) if upright else (at, 0.0))
    if upright:
        return f'<path d="M{x - 5} {y:.1f}h5" stroke="{_INK}"/>{_text((x - 20, y + 4), text)}'
    return f'<path d="M{x:.1f} {y}v5" stroke="{_INK}"/>{_text((x, y + 20), text)}'


def _text(place: Point, text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{place[0]:.1f}" y="{place[1]:.1f}" text-anchor="middle" fill="{_INK}">{escaped}</text>'
