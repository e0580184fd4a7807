"""Squares cut from images and id maps by an affine map, both by the same rule.

A matrix (2 x 3) takes a point (x, y) of the output to one of the source, pixel corners at integers. Beyond
its borders the source is mirrored; the border pixel itself is not repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.compiled import compiled

Matrix = npt.NDArray[np.float64]


def warp_image(image: npt.NDArray[np.uint8], matrix: Matrix, side: int) -> npt.NDArray[np.uint8]:
    """S x S x 3 uint8: linear between pixel centres (to 1/256), exact where the matrix meets them."""
    part = _cut(image, matrix, side)
    if part is not None:
        return part.copy()
    out = np.empty((side, side, 3), np.uint8)
    _linear(image, matrix, out)
    return out


def warp_ids(ids: npt.NDArray[np.integer[Any]], matrix: Matrix, side: int) -> npt.NDArray[np.int32]:
    """S x S int32: the id of the pixel in which each centre falls."""
    part = _cut(ids, matrix, side)
    if part is not None:
        return part.astype(np.int32, order="C")
    out = np.empty((side, side), np.int32)
    _nearest(ids, matrix, out)
    return out


def grown(matrix: Matrix, margin_px: int) -> Matrix:
    """The matrix for an output that is larger by `margin_px` on every side."""
    shift = matrix[:, :2] @ np.array([margin_px, margin_px], float)
    return np.column_stack([matrix[:, :2], matrix[:, 2] - shift])


def _cut(source: npt.NDArray[Any], matrix: Matrix, side: int) -> npt.NDArray[Any] | None:
    """The output as a view of the source: turned by right angles and mirrored. None where it is not."""
    linear = matrix[:, :2]
    turned = bool(linear[0, 0] == 0)
    first, last = matrix[:, 2], linear @ (side, side) + matrix[:, 2]
    (x0, y0), (x1, y1) = np.minimum(first, last), np.maximum(first, last)
    height, width = source.shape[:2]
    inside = x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height
    if not inside or not np.array_equal(np.abs(linear), np.eye(2)[::-1] if turned else np.eye(2)):
        return None
    if x0 != int(x0) or y0 != int(y0):
        return None
    part = source[int(y0) : int(y1), int(x0) : int(x1)]
    part = part.swapaxes(0, 1) if turned else part
    down, right = (linear[0, 1], linear[1, 0]) if turned else (linear[1, 1], linear[0, 0])
    return part[:: int(down), :: int(right)]


@compiled
def _mirrored(i: int, n: int) -> int:
    if 0 <= i < n:
        return i
    if n == 1:
        return 0
    i = abs(i) % (2 * n - 2)
    return i if i < n else 2 * n - 2 - i


@compiled
def _nearest(source: npt.NDArray[Any], m: Matrix, out: npt.NDArray[Any]) -> None:
    height, width = source.shape
    for row in range(out.shape[0]):
        x_row = m[0, 1] * (row + 0.5) + m[0, 2]
        y_row = m[1, 1] * (row + 0.5) + m[1, 2]
        for column in range(out.shape[1]):
            x = int(np.floor(m[0, 0] * (column + 0.5) + x_row))
            y = int(np.floor(m[1, 0] * (column + 0.5) + y_row))
            if x < 0 or y < 0 or x >= width or y >= height:
                x, y = _mirrored(x, width), _mirrored(y, height)
            out[row, column] = source[np.uintp(y), np.uintp(x)]


@compiled
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
            # Numbers that cannot be negative: no index has to be looked at for counting from the end.
            top, bottom, left, right = np.uintp(y0), np.uintp(y1), np.uintp(x0), np.uintp(x1)
            for k in range(np.uintp(3)):
                value = a * source[top, left, k] + b * source[top, right, k]
                value += c * source[bottom, left, k] + d * source[bottom, right, k]
                out[row, column, k] = (value + 32768) >> 16
