"""DICOM slides that say RGB and store YCbCr.

Some converters copy JPEG frames (luma and two chroma planes) and write PhotometricInterpretation RGB.
Readers that believe it show salmon-pink slides: the chroma planes hover around their zero, 128.
"""

from __future__ import annotations

import numpy as np

from histocerb.slides.pixels import Rgb8

_ZERO = 128
_FAR = 12.0
"""Most that the median chroma of an H&E slide is away from zero."""
_SPREAD = 30.0
"""Most that the chroma of an H&E slide spreads (standard deviation)."""
_BRIGHT = 150.0
"""Least median luma; a true RGB image with this and G = B = 128 would be salmon pink all over."""


def is_untagged_ycbcr(overview: Rgb8) -> bool:
    """True when the three planes of an overview are luma and chroma rather than red, green and blue."""
    planes = overview.reshape(-1, 3)
    medians, spreads = np.median(planes, axis=0), planes.std(axis=0)
    chroma_at_zero = bool(np.all(np.abs(medians[1:] - _ZERO) <= _FAR))
    return chroma_at_zero and bool(np.all(spreads[1:] <= _SPREAD)) and bool(medians[0] >= _BRIGHT)
