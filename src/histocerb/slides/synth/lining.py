"""The lining of a gland: where its goblet cells and nuclei sit below the border."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.cells import COLUMNS, set_row
from histocerb.slides.synth.noise import Floats, compiled, mix, uniform

Float32s = npt.NDArray[np.float32]
MOST = 1000
"""Nuclei of one lining."""


@compiled
def _at(field: Float32s, x: float, y: float, cx: int, cy: int, scale: float) -> float:
    """Value of a canvas at a world position; -1 outside the canvas."""
    c, r = int(np.floor(x / scale)) - cx, int(np.floor(y / scale)) - cy
    if r < 0 or c < 0 or r >= field.shape[0] or c >= field.shape[1]:
        return -1.0
    return float(field[r, c])


@compiled
def border_points(outline: Floats, step: float) -> Floats:
    """Points every `step` along a closed outline with their inward normals: rows of x, y, nx, ny."""
    n = len(outline)
    area = 0.0
    length = 0.0
    for k in range(n):
        m = (k + 1) % n
        area += outline[k, 0] * outline[m, 1] - outline[m, 0] * outline[k, 1]
        length += np.hypot(outline[m, 0] - outline[k, 0], outline[m, 1] - outline[k, 1])
    sign = 1.0 if area > 0.0 else -1.0
    count = max(3, int(length / step))
    step = length / count
    out = np.empty((count, 4))
    k, done, walked = 0, 0, 0.0
    while done < count:
        m = (k + 1) % n
        ex, ey = outline[m, 0] - outline[k % n, 0], outline[m, 1] - outline[k % n, 1]
        edge = max(1e-9, np.hypot(ex, ey))
        while done < count and done * step <= walked + edge:
            t = (done * step - walked) / edge
            out[done, 0], out[done, 1] = outline[k % n, 0] + t * ex, outline[k % n, 1] + t * ey
            out[done, 2], out[done, 3] = -sign * ey / edge, sign * ex / edge
            done += 1
        walked += edge
        k = (k + 1) % n
    return out


@compiled
def _fits(kept: Floats, count: int, x: float, y: float, apart: float) -> bool:
    for k in range(count):
        if (kept[k, 0] - x) ** 2 + (kept[k, 1] - y) ** 2 < (apart + kept[k, 2]) ** 2:
            return False
    return True


@compiled
def goblet_cells(
    border: Floats, depth: Float32s, lumen: Float32s, place: Floats, height: float, share: float, seed: int
) -> Floats:
    """Mucin vacuoles above the nuclei: rows of primitives. `place`: canvas x, y, scale."""
    cx, cy, scale = int(place[0]), int(place[1]), place[2]
    rows = np.empty((len(border), COLUMNS))
    kept = np.empty((len(border), 3))
    n = 0
    radial = 0.30 * height
    for k in range(len(border)):
        if uniform(seed, k, 30) > share:
            continue
        inward = height * (0.60 + 0.10 * (uniform(seed, k, 31) - 0.5))
        x, y = border[k, 0] + inward * border[k, 2], border[k, 1] + inward * border[k, 3]
        wide = 7.0 + 4.0 * uniform(seed, k, 32)
        if _at(depth, x, y, cx, cy, scale) < 0.8 * inward or not _fits(kept, n, x, y, 0.86 * wide):
            continue
        kept[n, 0], kept[n, 1], kept[n, 2] = x, y, 0.86 * wide
        spot = (x, y, radial, wide, np.arctan2(border[k, 3], border[k, 2]))
        colour = (0.10 + 0.10 * uniform(seed, k, 34), 0.05, 0.0, 0.05, 0.0, 0.88)
        set_row(rows[n], spot, colour, mix(seed, k, 33))
        n += 1
    return rows[:n].copy()


@compiled
def epithelial_nuclei(
    border: Floats, depth: Float32s, lumen: Float32s, place: Floats, form: Floats, seed: int
) -> Floats:
    """Nuclei in rows below the border. `form`: rows, long, wide, height, dark, vesicle, loose."""
    cx, cy, scale = int(place[0]), int(place[1]), place[2]
    rows, long, wide, height, dark, vesicle, loose = (
        form[0],
        form[1],
        form[2],
        form[3],
        form[4],
        form[5],
        form[6],
    )
    out = np.empty((MOST, COLUMNS))
    kept = np.empty((MOST, 3))
    n = 0
    for row in range(int(rows)):
        for k in range(len(border)):
            u, w = uniform(seed, k, 50 + row), uniform(seed, k, 80 + row)
            if u > 0.96 or n == MOST:
                continue
            inward = long + 2.2 + row * 1.3 * long + loose * (w - 0.25) * 0.9 * long
            slide = (uniform(seed, k, 110 + row) - 0.5) * (1.0 + 2.5 * loose + 0.8 * row)
            x = border[k, 0] + inward * border[k, 2] - slide * border[k, 3]
            y = border[k, 1] + inward * border[k, 3] + slide * border[k, 2]
            here = _at(depth, x, y, cx, cy, scale)
            if here < 0.75 * inward or inward > height or _at(lumen, x, y, cx, cy, scale) > 0.0:
                continue
            size = 0.8 + (0.3 + 0.2 * loose) * uniform(seed, k, 140 + row)
            if not _fits(kept, n, x, y, 0.78 * wide * size):
                continue
            kept[n, 0], kept[n, 1], kept[n, 2] = x, y, 0.78 * wide * size
            turn = np.arctan2(border[k, 3], border[k, 2]) + (0.25 + 0.5 * loose) * (w - 0.5)
            haem = dark * (0.7 + (0.4 + 0.3 * loose) * uniform(seed, k, 200 + row))
            cover = 0.94 - 0.3 * loose * uniform(seed, k, 230 + row) ** 2
            colour = (haem, 0.34, 0.0, 0.03 + 0.05 * loose, vesicle, cover)
            set_row(out[n], (x, y, long * size, wide * size, turn), colour, mix(seed, k, 170 + row))
            n += 1
    return out[:n].copy()
