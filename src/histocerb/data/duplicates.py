"""Images that occur twice: by perceptual hash, then by comparing them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

_SIDE = 32
_LEAST_CONTRAST = 3.0
_MOST_BITS = 5
_ALL_BITS = 2**64 - 1
_LEAST_CORRELATION = 0.97
_BANDS = ((0, 11), (11, 22), (22, 33), (33, 44), (44, 54), (54, 64))
"""Bits of a hash in six bands: hashes that differ in five bits agree in one band at least."""


def look(image: Image) -> int | None:
    """Perceptual hash of an H x W x 3 image as a signed 64 bit number; None for one without structure.

    The signs of the 64 lowest frequencies (without the mean) of the cosine transform of a 32 x 32 grey
    thumbnail, relative to their median. Resampling, compression and moderate changes of colour move few bits.
    """
    small = _thumbnail(image)
    if small.std() < _LEAST_CONTRAST:
        return None
    frequencies = cv2.dct(small)[:9, :9].ravel()[1:65]
    bits = np.packbits(frequencies > np.median(frequencies))
    return int(bits.view(">i8")[0])


def near_duplicates(looks: Sequence[int | None], image: Callable[[int], Image]) -> list[tuple[int, int]]:
    """Pairs of samples that show the same, as places in `looks`, first one first.

    Their hashes differ in five bits at most and their thumbnails correlate by at least 0.97. A crop of an
    image, or a turned one, is not found.

    Args:
        looks: hash per sample.
        image: pixels of a sample; called for the few whose hash is close to another's.
    """
    thumbnails: dict[int, npt.NDArray[np.float32]] = {}

    def thumbnail(index: int) -> npt.NDArray[np.float32]:
        if index not in thumbnails:
            small = _thumbnail(image(index))
            thumbnails[index] = (small - small.mean()) / max(float(small.std()), 1e-6)
        return thumbnails[index]

    close = sorted(set(_close(looks)))
    return [(i, j) for i, j in close if float((thumbnail(i) * thumbnail(j)).mean()) >= _LEAST_CORRELATION]


def _close(looks: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    for first, last in _BANDS:
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, value in enumerate(looks):
            if value is not None:
                buckets[(value >> first) & ((1 << (last - first)) - 1)].append(index)
        for bucket in buckets.values():
            yield from _close_within(bucket, looks)


def _close_within(bucket: list[int], looks: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    if len(bucket) < 50:
        for i, j in combinations(bucket, 2):
            if (((looks[i] or 0) ^ (looks[j] or 0)) & _ALL_BITS).bit_count() <= _MOST_BITS:
                yield i, j
        return
    values = np.array([looks[i] for i in bucket], np.int64)
    for place in range(len(bucket) - 1):
        bits = np.bitwise_count(np.bitwise_xor(values[place], values[place + 1 :]).view(np.uint64))
        for other in np.flatnonzero(bits <= _MOST_BITS):
            yield bucket[place], bucket[place + 1 + int(other)]


def _thumbnail(image: Image) -> npt.NDArray[np.float32]:
    small = cv2.resize(np.asarray(image), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
