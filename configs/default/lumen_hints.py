"""Lumina of GlaS images from what is drawn on them: bright places in glands that are no goblet cells.

No one has drawn these lumina; they are hints, on benign glands of the images with goblet masks alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.sources.entry import Entry
from histocerb.data.sources.images import read_ids, same_size

BRIGHT = 185
"""Darkest channel of a pixel that may be lumen; cytoplasm and mucus are darker in one of them."""
EPITHELIUM_PX = 12
"""7.4 um: no lumen is nearer to the edge of its gland; what is bright there is a crack around the gland."""
SMALLEST_PX = 120
"""46 um2."""

UInt8 = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int32]


def with_lumina(entry: Entry, goblets: Path) -> Entry:
    """The GlaS entry, with lumina where there is a mask of its goblet cells (`train_2_goblet.png`)."""
    path = goblets / f"{entry.name}_goblet.png"
    if not path.is_file():
        return entry
    return replace(
        entry, files=(*entry.files, path), load=partial(_load, entry, path), recipe="lumen hints 1"
    )


def _load(entry: Entry, path: Path) -> Sample:
    sample = entry.load()
    goblets = read_ids(path)
    same_size(path, goblets, sample.image)
    lumina = ObjectLabels(lumen_hints(sample.image, sample.objects["gland"].ids, goblets))
    return replace(sample, objects={**sample.objects, "lumen": lumina})


def lumen_hints(image: UInt8, glands: Ids, goblets: Ids) -> Ids:
    """H x W int32: one id per bright place inside a gland and outside goblet cells."""
    darkest = cv2.GaussianBlur(image, (0, 0), 1.0).min(2)
    # An edge of the image is no edge of a gland: the border of an erosion counts as inside.
    inner = cv2.erode((glands > 0).astype(np.uint8), _disc(2 * EPITHELIUM_PX + 1))
    outside_goblets = cv2.dilate((goblets > 0).astype(np.uint8), _disc(3)) == 0
    bright: Any = ((darkest > BRIGHT) & (inner > 0) & outside_goblets).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, _disc(7))
    bright = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, _disc(9))
    _, places, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= SMALLEST_PX)
    number = np.zeros(len(stats), np.int32)
    number[large[large > 0]] = np.arange(1, np.count_nonzero(large) + 1)
    return number[places]


def _disc(diameter: int) -> UInt8:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), np.uint8)
