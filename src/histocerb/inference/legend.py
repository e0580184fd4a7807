"""The panel beside an overview: classes with their colours, counts and areas, and a scale bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from histocerb.analysis.summary import UNCLASSIFIED, Counts
from histocerb.core.colours import Rgb, colour
from histocerb.core.tasks import TaskSpec

_INK: Rgb = (40, 40, 48)
_FAINT: Rgb = (120, 120, 130)
_PAPER: Rgb = (250, 250, 252)
_BAR_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class _Line:
    """One line of the legend: a heading where there is no shade."""

    text: str
    value: str = ""
    shade: Rgb | None = None


def legend(
    picture: npt.NDArray[np.uint8],
    spec: TaskSpec,
    counts: Counts,
    tissue: pa.Table,
    title: str,
    px_per_um: float,
) -> npt.NDArray[np.uint8]:
    """The picture with a panel to its right.

    Args:
        picture: H x W x 3 uint8.
        spec: gives the order of kinds and classes.
        counts: objects per kind and class.
        tissue: rows of `tissue.parquet`.
        title: headline.
        px_per_um: picture pixels per micrometre, for the scale bar.
    """
    lines = _object_lines(spec, counts) + _tissue_lines(spec, tissue)
    size = max(12, min(30, round(picture.shape[0] / (len(lines) + 8) / 1.6)))
    step, width = round(size * 1.6), size * 19
    height = max(picture.shape[0], step * (len(lines) + 6))
    page = Image.new("RGB", (picture.shape[1] + width, height), _PAPER)
    page.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(page)
    left = picture.shape[1] + size
    draw.text((left, size), _shortened(title, 28), _INK, ImageFont.load_default(size * 1.15))
    for number, line in enumerate(lines):
        _draw_line(draw, line, (left, size + step * (number + 2)), page.width - size, size)
    _draw_bar(draw, (left, height - 2 * size), width - 2 * size, px_per_um, size)
    return np.asarray(page)


def _object_lines(spec: TaskSpec, counts: Counts) -> list[_Line]:
    lines = []
    for task in spec.objects:
        of_kind = counts.get(task.kind, {})
        lines.append(_Line(task.name, f"{sum(of_kind.values()):,}"))
        lines += [_Line(name, f"{of_kind.get(name, 0):,}", colour(name)) for name in task.classes]
        if not task.classes:
            lines.append(_Line(task.kind, "", colour(task.kind)))
        elif of_kind.get(UNCLASSIFIED):
            lines.append(_Line(UNCLASSIFIED, f"{of_kind[UNCLASSIFIED]:,}", colour(task.kind)))
    return lines


def _tissue_lines(spec: TaskSpec, tissue: pa.Table) -> list[_Line]:
    if spec.patch is None:
        return []
    names = tissue["class"].to_pylist()
    lines = [_Line(spec.patch.name, f"{len(names):,} cells")]
    for name in spec.patch.classes[1:]:
        share = names.count(name) / len(names) if names else 0.0
        lines.append(_Line(name, f"{share:.0%}", colour(name)))
    return lines


def _draw_line(
    draw: ImageDraw.ImageDraw, line: _Line, corner: tuple[int, int], right: int, size: int
) -> None:
    x, y = corner
    font = ImageFont.load_default(size)
    if line.shade is None:
        draw.line((x, y - size * 0.2, right, y - size * 0.2), (215, 215, 222), 1)
    else:
        draw.rectangle((x, y + size * 0.2, x + size * 0.8, y + size), line.shade, _FAINT)
        x += round(size * 1.4)
    draw.text((x, y), line.text, _INK, font)
    draw.text((right, y), line.value, _INK if line.shade is None else _FAINT, font, anchor="ra")


def _draw_bar(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], room_px: int, px_per_um: float, size: int
) -> None:
    """The longest bar of 1, 2 or 5 times a power of ten that fits."""
    lengths = [step * 10**power for power in range(6) for step in _BAR_STEPS]
    fitting = [length for length in lengths if length * px_per_um <= room_px]
    if not fitting:
        return
    length_um = fitting[-1]
    x, y = corner
    draw.rectangle((x, y, x + length_um * px_per_um, y + max(3, size // 5)), _INK)
    text = f"{length_um} um" if length_um < 1000 else f"{length_um / 1000:g} mm"
    draw.text((x, y - size * 1.5), text, _INK, ImageFont.load_default(size))


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
