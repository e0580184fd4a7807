"""Resampling that does not depend on where an image is cut.

Each output pixel is a weighted mean of source pixels whose weights follow from its absolute position
alone: shares of covered area where the image shrinks, linear interpolation between pixel centres where it
grows. All sums are integers, so neither the cut nor the number of threads can change a bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.core.compiled import compiled

_UNIT = 1 << 14
"""Weights of one output pixel sum to this."""


@dataclass(frozen=True)
class Taps:
    """The source pixels of a run of output pixels along one axis.

    Output pixel n is the sum of `weights[n, t]` / 2**14 times source pixel `starts[n] + t`, clamped to
    the pixels that exist.

    Attributes:
        starts: N int64, absolute source positions.
        weights: N x T int32.
        first: first source pixel that is needed.
        stop: one after the last.
    """

    starts: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int32]
    first: int
    stop: int


def taps(begin: int, end: int, ratio: float, size: int) -> Taps:
    """Weights for output pixels begin..end when one of them spans `ratio` source pixels.

    Args:
        begin: first output pixel.
        end: one after the last.
        ratio: source pixels per output pixel; output pixel j covers source [j * ratio, (j + 1) * ratio).
        size: number of source pixels; the outermost ones continue outwards.
    """
    position = np.arange(begin, end, dtype=np.float64)
    starts, weights = _area(position, ratio) if ratio >= 1 else _linear(position, ratio)
    last = int(starts[-1]) + weights.shape[1] - 1
    first = min(max(int(starts[0]), 0), size - 1)
    return Taps(starts, weights, first, min(max(last, 0), size - 1) + 1)


def resample(pixels: npt.NDArray[np.uint8], rows: Taps, columns: Taps) -> npt.NDArray[np.uint8]:
    """Apply both axes.

    Args:
        pixels: source rows.first..rows.stop by columns.first..columns.stop, H x W x 3.
        rows: taps of the vertical axis.
        columns: taps of the horizontal axis.

    Returns:
        len(rows.starts) x len(columns.starts) x 3 uint8, rounded to nearest.
    """
    height, width = pixels.shape[:2]
    flat = np.ascontiguousarray(pixels).reshape(height, width * 3)
    out = np.empty((len(rows.starts), len(columns.starts), 3), np.uint8)
    _apply(flat, rows.starts - rows.first, rows.weights, columns.starts - columns.first, columns.weights, out)
    return out


def _area(
    position: npt.NDArray[np.float64], ratio: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    begin = position * ratio
    starts = np.floor(begin).astype(np.int64)
    # a whole ratio never reaches into a further pixel
    count = int(ratio) if ratio == int(ratio) else int(np.ceil(ratio)) + 1
    edges = starts[:, None] + np.arange(count + 1) - begin[:, None]
    share = np.rint(np.clip(edges / ratio, 0.0, 1.0) * _UNIT).astype(np.int32)
    share[:, -1] = _UNIT
    return starts, np.diff(share, axis=1)


def _linear(
    position: npt.NDArray[np.float64], ratio: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    centre = (position + 0.5) * ratio - 0.5
    starts = np.floor(centre).astype(np.int64)
    second = np.rint((centre - starts) * _UNIT).astype(np.int32)
    return starts, np.stack([_UNIT - second, second], axis=1)


@compiled
def _apply(
    flat: npt.NDArray[np.uint8],
    row_starts: npt.NDArray[np.int64],
    row_weights: npt.NDArray[np.int32],
    column_starts: npt.NDArray[np.int64],
    column_weights: npt.NDArray[np.int32],
    out: npt.NDArray[np.uint8],
) -> None:
    last_row = flat.shape[0] - 1
    last_column = flat.shape[1] // 3 - 1
    line = np.empty(flat.shape[1], np.int32)
    for y in range(out.shape[0]):
        line[:] = 0
        for t in range(row_weights.shape[1]):
            weight = row_weights[y, t]
            if weight != 0:
                source = flat[min(max(row_starts[y] + t, 0), last_row)]
                for i in range(line.size):
                    line[i] += weight * np.int32(source[i])
        for i in range(line.size):
            line[i] = (line[i] + 32) >> 6
        for x in range(out.shape[1]):
            red = green = blue = np.int32(1 << 21)
            for t in range(column_weights.shape[1]):
                weight = column_weights[x, t]
                at = 3 * min(max(column_starts[x] + t, 0), last_column)
                red += weight * line[at]
                green += weight * line[at + 1]
                blue += weight * line[at + 2]
            out[y, x, 0] = red >> 22
            out[y, x, 1] = green >> 22
            out[y, x, 2] = blue >> 22
