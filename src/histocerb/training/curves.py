"""`curves.png`: losses and validation figures of a run over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from histocerb.training.files import writing
from histocerb.training.journal import Journal

_PANEL_PX = (420, 240)
_FRAME_PX = (56, 26, 12, 24)
"""Left, top, right and bottom of a panel, around its curves."""
_COLUMNS = 2
_INKS = ("#1f5fa8", "#c8553d", "#3d8b5f", "#8a5fa8", "#b8860b", "#555555")

_VALID, _PACE = "valid", "pace"
_KINDS = ("loss", _VALID, _PACE)
"""In the order in which they are drawn."""

Points = list[tuple[float, float]]
Panels = dict[str, dict[str, Points]]


def draw_curves(journal: Journal, path: Path) -> None:
    """Draw what the journal has: a panel per loss, per task that was validated, and for pace.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    panels = panels_of(journal)
    if not panels:
        return
    lines = -(-len(panels) // _COLUMNS)
    width, height = _PANEL_PX
    page = Image.new("RGB", (width * min(_COLUMNS, len(panels)), height * lines), "white")
    starts = [sum(journal.steps[:number]) for number in range(len(journal.steps) + 1)]
    for number, (title, curves) in enumerate(panels.items()):
        page.paste(_panel(title, curves, starts), (number % _COLUMNS * width, number // _COLUMNS * height))
    temporary = path.with_suffix(".tmp.png")
    with writing(path.parent):
        page.save(temporary)
        temporary.replace(path)


def panels_of(journal: Journal) -> Panels:
    """Curves by panel and name; points are (step of the run, value)."""
    panels: Panels = {}
    for row in sorted(journal.rows(), key=lambda row: _KINDS.index(_kind(row.name))):
        title, curve = row.name, row.name
        if _kind(row.name) == _VALID:
            title, _, curve = row.name.rpartition("/")
        step = sum(journal.steps[: row.stage - 1]) + row.step
        panels.setdefault(title, {}).setdefault(curve, []).append((step, row.value))
    return panels


def _kind(name: str) -> str:
    first = name.partition("/")[0]
    return first if first in _KINDS else _PACE


def _panel(title: str, curves: Mapping[str, Points], starts: Sequence[int]) -> Image.Image:
    """One chart; vertical lines are where stages begin."""
    left, top, right, bottom = _FRAME_PX
    box = left, top, _PANEL_PX[0] - right, _PANEL_PX[1] - bottom
    values = [value for points in curves.values() for _, value in points]
    low, high = (0.0, 1.0) if _kind(title) == _VALID else (min(values), max(values))
    high = high if high > low else low + 1e-9
    picture = Image.new("RGB", _PANEL_PX, "white")
    pen = ImageDraw.Draw(picture)

    def place(step: float, value: float) -> tuple[float, float]:
        x = box[0] + step / max(1, starts[-1]) * (box[2] - box[0])
        return x, box[3] - (value - low) / (high - low) * (box[3] - box[1])

    for start in starts[1:-1]:
        pen.line([place(start, low), place(start, high)], fill="#dddddd")
    pen.rectangle(box, outline="#999999")
    pen.text((left, 6), title, fill="black")
    pen.text((4, top - 4), f"{high:.3g}", fill="black")
    pen.text((4, box[3] - 8), f"{low:.3g}", fill="black")
    pen.text((box[2] - 40, box[3] + 6), f"{starts[-1]} steps", fill="black")
    for number, (name, points) in enumerate(curves.items()):
        ink = _INKS[number % len(_INKS)]
        spots = [place(*point) for point in points]
        pen.line(spots, fill=ink, width=2)
        if len(curves) > 1:
            pen.text((left + 90 * number + 110, 6), name, fill=ink)
        for x, y in spots if len(spots) < 12 else ():
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=ink)
    return picture
