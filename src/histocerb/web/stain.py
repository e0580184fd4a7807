"""Whether a slide looks as if it was stained with haematoxylin and eosin, seen on its thumbnail.

Both dyes absorb green most: over all stained pixels the mean optical density of red was at most 0.75 of that
of green, and that of blue at most 0.78, on the H&E images this was set on (GlaS, CoNSeP, CRC-VAL-HE-7K,
two slides). Beyond the limits below something else colours the slide: blue or green dyes absorb red,
DAB and other brown ones absorb blue. Red dyes such as PAS or Congo red lie within and are not told apart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.slides.reader import Slide

_THUMBNAIL_PX = 512
_STAINED_DENSITY = 0.12
_LEAST_PIXELS = 150
"""Fewer stained pixels say nothing."""
_DARK = 80.0
"""Median brightness of bright-field slides is above (H&E images: at least 120)."""
_LEAST_CHROMA = 20.0
"""Difference between the highest and the lowest channel, mean (H&E images: at least 40)."""
_MOST_RED, _MOST_BLUE = 0.95, 0.95
"""Optical density over that of green."""
_MOST_BROWN = 0.05
"""Share of the stain that absorbs blue more than green (H&E images: at most 0.014)."""
_BROWN_MARGIN = 0.03


def stain_warning(slide: Slide) -> str:
    """A sentence where the stain is not that of H&E, else nothing."""
    return unusual_stain(slide.thumbnail(_THUMBNAIL_PX))


def unusual_stain(picture: npt.NDArray[np.uint8]) -> str:
    """A sentence where a picture of a slide does not look like H&E, else nothing.

    Args:
        picture: H x W x 3.
    """
    looks = _looks(picture.astype(np.float32))
    if not looks:
        return ""
    return f"Unusual stain: the slide {looks}; the networks know haematoxylin and eosin only."


def _looks(pixels: npt.NDArray[np.float32]) -> str:
    if float(np.median(pixels.mean(axis=2))) < _DARK:
        return "has a dark ground, as in fluorescence"
    glass = np.maximum(np.percentile(pixels.reshape(-1, 3), 99, axis=0), 180)
    density = np.maximum(-np.log10((pixels + 1) / (glass + 1)), 0)
    stained = density.max(axis=2) > _STAINED_DENSITY
    if np.count_nonzero(stained) < _LEAST_PIXELS:
        return ""
    chroma = float(np.ptp(pixels[stained], axis=1).mean())
    if chroma < _LEAST_CHROMA:
        return "is grey"
    red, green, blue = density[stained].T
    if red.mean() > _MOST_RED * green.mean():
        return "is blue or green"
    weight = density[stained].sum(axis=1)
    brown = float(weight[blue > green + _BROWN_MARGIN].sum() / weight.sum())
    if blue.mean() > _MOST_BLUE * green.mean() or brown > _MOST_BROWN:
        return "has brown or yellow parts, as with DAB"
    return ""
