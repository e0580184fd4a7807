"""Squares cut from images and id maps by an affine map, both by the same rule.

A matrix (2 x 3) takes a point (x, y) of the output to one of the source, pixel corners at integers. Beyond
its borders the source is mirrored; the border pixel itself is not repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Matrix = npt.NDArray[np.float64]


def warp_image(image: npt.NDArray[np.uint8], matrix: Matrix, side: int) -> npt.NDArray[np.uint8]:
    """S x S x 3 uint8: linear between pixel centres (to 1/256), exact where the matrix meets them."""
    out = np.empty((side, side, 3), np.uint8)
    _linear(image, matrix, out)
    return out


def warp_ids(ids: npt.NDArray[np.integer[Any]], matrix: Matrix, side: int) -> npt.NDArray[np.int32]:
    """S x S int32: the id of the pixel in which each centre falls."""
    out = np.empty((side, side), np.int32)
    _nearest(ids, matrix, out)
    return out


def grown(matrix: Matrix, margin_px: int) -> Matrix:
    """The matrix for an output that is larger by `margin_px` on every side."""
    shift = matrix[:, :2] @ np.array([margin_px, margin_px], float)
    return np.column_stack([matrix[:, :2], matrix[:, 2] - shift])


@njit(cache=True, nogil=True)
def _mirrored(i: int, n: int) -> int:
    if 0 <= i < n:
        return i
    if n == 1:
        return 0
    i = abs(i) % (2 * n - 2)
    return i if i < n else 2 * n - 2 - i


@njit(cache=True, nogil=True)
def _nearest(source: npt.NDArray[Any], m: Matrix, out: npt.NDArray[Any]) -> None:
    height, width = source.shape
    for row in range(out.shape[0]):
        x_row = m[0, 1] * (row + 0.5) + m[0, 2]
        y_row = m[1, 1] * (row + 0.5) + m[1, 2]
        for column in range(out.shape[1]):
            x = int(np.floor(m[0, 0] * (column + 0.5) + x_row))
            y = int(np.floor(m[1, 0] * (column + 0.5) + y_row))
            out[row, column] = source[_mirrored(y, height), _mirrored(x, width)]


@njit(cache=True, nogil=True)
def _linear(source: npt.NDArray[Any], m: Matrix, out: npt.NDArray[Any]) -> None:
    """Bilinear in steps of 1/256 pixel."""
    height, width = source.shape[:2]
    for row in range(out.shape[0]):
        x_row = m[0, 1] * (row + 0.5) + m[0, 2] - 0.5
        y_row = m[1, 1] * (row + 0.5) + m[1, 2] - 0.5
        for column in range(out.shape[1]):
            x = m[0, 0] * (column + 0.5) + x_row
            y = m[1, 0] * (column + 0.5) + y_row
            x0, y0 = int(np.floor(x)), int(np.floor(y))
            fx, fy = int((x - x0) * 256 + 0.5), int((y - y0) * 256 + 0.5)
            x1, y1 = x0 + 1, y0 + 1
            if x0 < 0 or y0 < 0 or x1 >= width or y1 >= height:
                x0, x1 = _mirrored(x0, width), _mirrored(x1, width)
                y0, y1 = _mirrored(y0, height), _mirrored(y1, height)
            a, b = (256 - fx) * (256 - fy), fx * (256 - fy)
            c, d = (256 - fx) * fy, fx * fy
            for k in range(3):
                value = a * source[y0, x0, k] + b * source[y0, x1, k]
                value += c * source[y1, x0, k] + d * source[y1, x1, k]
                out[row, column, k] = (value + 32768) >> 16
