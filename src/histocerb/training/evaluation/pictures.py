"""An image beside the same image with what was found, missed and invented, each in a colour of its own."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from histocerb.core.colours import Rgb
from histocerb.metrics.matching import Overlaps
from histocerb.metrics.segmentation import MATCH_IOU

RIGHT: Rgb = (86, 180, 233)
MISSED: Rgb = (240, 228, 66)
INVENTED: Rgb = (213, 94, 0)
"""Colours of Okabe and Ito, told apart by people with any colour vision."""

_SEAM: Rgb = (20, 20, 24)
_INK: Rgb = (30, 30, 36)
_PAPER: Rgb = (250, 250, 252)
_PANEL_PX = 900
_GAP_PX = 12
_LINE_PX = 46
_LARGE_PX = 2000
"""Outlines of larger objects (in pixels of the picture) are thick and on a dark seam, others a fine line."""

Picture = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Outcome:
    """What became of the objects of an image.

    Attributes:
        right: H x W ids of found objects that match.
        missed: H x W ids of truth objects without a match.
        invented: H x W ids of found objects without a match.
    """

    right: Ids
    missed: Ids
    invented: Ids

    @property
    def counts(self) -> tuple[int, int, int]:
        """Objects right, missed and invented."""
        right, missed, invented = (
            len(np.unique(ids[ids > 0])) for ids in (self.right, self.missed, self.invented)
        )
        return right, missed, invented


def outcome(truth: Ids, found: Ids, overlaps: Overlaps) -> Outcome:
    """Sort the objects of two id images by whether they match (IoU above 0.5)."""
    matched = overlaps.iou > MATCH_IOU
    right = np.isin(found, overlaps.pred_ids[overlaps.pred[matched]])
    known = np.isin(truth, overlaps.truth_ids[overlaps.truth[matched]])
    return Outcome(found * right, truth * ~known, found * ~right)


def draw(image: Picture, result: Outcome, title: str) -> Picture:
    """The image, and beside it the same with outlines: blue right, yellow missed, orange invented.

    Args:
        image: H x W x 3 uint8.
        result: of the same size.
        title: written above.

    Returns:
        A picture with both panels, a title and a legend; the longer side of a panel is about 900 px.
    """
    scale = max(1, round(_PANEL_PX / max(image.shape[:2])))
    plain = image.repeat(scale, axis=0).repeat(scale, axis=1)
    marked = plain.copy()
    layers = ((result.right, RIGHT), (result.missed, MISSED), (result.invented, INVENTED))
    lines = [(_outline(ids, scale), shade) for ids, shade in layers]
    if _mean_area(result) * scale**2 > _LARGE_PX:
        for line, _ in lines:
            marked[_thicker(_thicker(line))] = _SEAM
        lines = [(_thicker(line), shade) for line, shade in lines]
    for line, shade in lines:
        marked[line] = shade
    return _page([plain, marked], title, result.counts)


def _mean_area(result: Outcome) -> float:
    """Pixels per object."""
    pixels = sum(np.count_nonzero(ids) for ids in (result.right, result.missed, result.invented))
    return pixels / max(1, sum(result.counts))


def _outline(ids: Ids, scale: int) -> npt.NDArray[np.bool_]:
    """Pixels of objects, enlarged, that touch another value."""
    large = ids.repeat(scale, axis=0).repeat(scale, axis=1)
    padded = np.pad(large, 1)
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    is_edge = np.zeros(large.shape, np.bool_)
    for neighbour in neighbours:
        is_edge |= neighbour != large
    return is_edge & (large > 0)


def _thicker(line: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(cv2.dilate(line.astype(np.uint8), cross)) > 0


def _page(panels: list[Picture], title: str, counts: tuple[int, int, int]) -> Picture:
    height, width = panels[0].shape[:2]
    page = Image.new("RGB", (2 * width + _GAP_PX, height + 2 * _LINE_PX), _PAPER)
    for number, panel in enumerate(panels):
        page.paste(Image.fromarray(panel), (number * (width + _GAP_PX), _LINE_PX))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    pen.text((8, 8), _fitting(title, page.width - 16, font), _INK, font)
    names = zip(("right", "missed", "invented"), counts, (RIGHT, MISSED, INVENTED), strict=True)
    left = 8
    for name, count, shade in names:
        top = height + _LINE_PX + 10
        pen.rectangle((left, top, left + 26, top + 26), shade, _SEAM, 3)
        text = f"{count:,} {name}"
        pen.text((left + 36, top - 2), text, _INK, font)
        left += 60 + int(pen.textlength(text, font))
    return np.asarray(page)


def _fitting(text: str, width_px: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > width_px:
        text = text[:-4] + "..."
    return text
