"""What is drawn for one nucleus or one cell body, and how many of which kind a tissue holds.

Primitives are rows of a float array (columns: the constants below) with ids beside them. A nucleus of
several lobes is several rows of one id.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.config import Cell, Tissue
from histocerb.slides.synth.noise import Floats, compiled, noise, uniform

X, Y, A, B, ANGLE, SEED, HAEM, EOSIN, RED, ROUGH, VESICLE, COVER = range(12)
COLUMNS = 12
"""x, y, semi-axes a and b (world px), angle, texture seed, three concentrations, irregularity of the outline,
how empty the middle of the nucleus is (0..1), and opacity."""

Place = tuple[float, float, float, float, float]
Colour = tuple[float, float, float, float, float, float]

MAX_ROWS = 5
"""Rows that one cell can take."""

_MIXTURE: dict[Tissue, tuple[float, tuple[float, ...]]] = {
    # occupancy of the cell grid; neutrophil, epithelial, lymphocyte, plasma, eosinophil, connective
    Tissue.GLASS: (0.0, (0, 0, 1, 0, 0, 0)),
    Tissue.ABNORMAL: (0.34, (0.06, 0.0, 0.20, 0.10, 0.025, 0.615)),
    Tissue.NORMAL: (0.45, (0.04, 0.0, 0.32, 0.28, 0.04, 0.32)),
    Tissue.INFLAMED: (0.90, (0.08, 0.0, 0.60, 0.18, 0.035, 0.105)),
    Tissue.MUSCLE: (0.19, (0.01, 0.0, 0.04, 0.01, 0.01, 0.93)),
    Tissue.STROMA: (0.20, (0.02, 0.0, 0.15, 0.05, 0.015, 0.765)),
    Tissue.DEBRIS: (0.13, (0.62, 0.0, 0.30, 0.0, 0.02, 0.06)),
    Tissue.MUCUS: (0.016, (0.25, 0.30, 0.25, 0.0, 0.0, 0.20)),
    Tissue.FAT: (0.30, (0.0, 0.0, 0.12, 0.02, 0.0, 0.86)),
}
OCCUPANCY: Floats = np.array([_MIXTURE[tissue][0] for tissue in Tissue])
SHARES: Floats = np.cumsum(np.array([_MIXTURE[tissue][1] for tissue in Tissue], dtype=np.float64), axis=1)

_NEUTROPHIL, _EPITHELIAL, _LYMPHOCYTE, _PLASMA, _EOSINOPHIL, _CONNECTIVE = (int(cell) for cell in Cell)


@compiled
def set_row(row: Floats, place: Place, colour: Colour, seed: int) -> None:
    """Fill a primitive: place = x, y, a, b, angle; colour = H, E, R, irregularity, vesicle, cover."""
    row[X], row[Y], row[A], row[B], row[ANGLE] = place
    row[SEED] = seed
    row[HAEM], row[EOSIN], row[RED], row[ROUGH], row[VESICLE], row[COVER] = colour


@compiled
def _plan(kind: int, u: Floats) -> tuple[Colour, float, float, Colour, float, float, int, float]:
    """Looks of a class: body (colour, semi-axes), nucleus (colour, semi-axes), lobes, their distance.

    `u`: random numbers. A body of semi-axis 0 is not drawn. World pixels before scaling by nuclear size.
    """
    dark = 0.85 + 0.35 * u[0]
    none = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    if kind == _LYMPHOCYTE:
        r = 4.7 + 1.2 * u[1]
        nucleus = (1.55 * dark, 0.28, 0.0, 0.05, 0.15, 0.96)
        return none, 0.0, 0.0, nucleus, r * (1.0 + 0.12 * u[2]), r * (1.0 - 0.1 * u[3]), 1, 0.0
    if kind == _PLASMA:
        r = 4.6 + 1.0 * u[1]
        body = (0.42 + 0.2 * u[4], 0.42, 0.0, 0.07, 0.0, 0.8)
        return body, 1.75 * r, 1.3 * r, (1.45 * dark, 0.3, 0.0, 0.04, 0.35, 0.96), r, 0.95 * r, 1, 0.0
    if kind == _EOSINOPHIL:
        r = 2.9 + 0.5 * u[1]
        body = (0.05, 0.45, 0.55 + 0.4 * u[4], 0.06, 0.0, 0.93)
        nucleus = (1.35 * dark, 0.4, 0.1, 0.05, 0.1, 0.95)
        return body, 2.5 * r, 2.05 * r, nucleus, 1.05 * r, 0.95 * r, 2, 0.95 * r
    if kind == _NEUTROPHIL:
        r = 2.3 + 0.5 * u[1]
        body = (0.06, 0.22, 0.0, 0.08, 0.0, 0.7)
        lobes = 3 + int(1.99 * u[2])
        nucleus = (1.75 * dark, 0.3, 0.0, 0.06, 0.0, 0.97)
        return body, 2.6 * r, 2.3 * r, nucleus, 1.1 * r, 0.85 * r, lobes, 1.25 * r
    if kind == _CONNECTIVE:
        colour = ((0.85 + 0.5 * u[4]) * dark, 0.3, 0.0, 0.1, 0.25, 0.92)
        return none, 0.0, 0.0, colour, 7.0 + 5.0 * u[1], 1.9 + 1.6 * u[2] ** 2, 1, 0.0
    r = 6.5 + 1.5 * u[1]
    body, nucleus = (0.3, 0.4, 0.0, 0.1, 0.0, 0.8), (1.3, 0.3, 0.0, 0.1, 0.5, 0.95)
    return body, 1.8 * r, 1.5 * r, nucleus, r, 0.8 * r, 1, 0.0


@compiled
def draw_cell(
    kind: int, x: float, y: float, angle: float, seed: int, size: float, bodies: Floats, nuclei: Floats
) -> tuple[int, int]:
    """Fill the first rows of `bodies` and `nuclei` for one cell; returns how many of each (<= MAX_ROWS)."""
    u = np.empty(5)
    for k in range(5):
        u[k] = uniform(seed, k, 17)
    skin, wide, high, colour, a, b, lobes, apart = _plan(kind, u)
    a, b, apart = a * size, b * size, apart * size
    count = 0
    if wide > 0.0:
        # plasma cells: the nucleus sits at one end of the body
        shift = 3.2 * size if kind == _PLASMA else 0.0
        place = (x - shift * np.cos(angle), y - shift * np.sin(angle), wide * size, high * size, angle)
        set_row(bodies[0], place, skin, seed)
        count = 1
    bend = 1.35 if kind == _NEUTROPHIL else np.pi
    for lobe in range(lobes):
        t = angle + (lobe - 0.5 * lobes) * bend
        turn = t + 1.57 if lobes > 1 else angle
        set_row(nuclei[lobe], (x + apart * np.cos(t), y + apart * np.sin(t), a, b, turn), colour, seed + lobe)
    return count, lobes


@compiled
def paint(
    rows: Floats,
    ids: npt.NDArray[np.int32],
    stains: npt.NDArray[np.float32],
    id_map: npt.NDArray[np.int32],
    origin: npt.NDArray[np.int64],
    scale: float,
) -> None:
    """Draw primitives in order into `stains` (H x W x 3); where an id is not 0, also into `id_map`.

    Each is an ellipse with a wavy outline, anti-aliased over a pixel, with chromatin texture; a later one
    covers an earlier one.
    """
    height, width = id_map.shape
    for k in range(len(rows)):
        row = rows[k]
        reach = max(row[A], row[B]) * (1.05 + row[ROUGH] * 1.8) + scale
        x0, y0 = row[X] / scale - origin[0], row[Y] / scale - origin[1]
        c0, c1 = max(0, int(np.floor(x0 - reach / scale))), min(width, int(np.ceil(x0 + reach / scale)) + 1)
        r0, r1 = max(0, int(np.floor(y0 - reach / scale))), min(height, int(np.ceil(y0 + reach / scale)) + 1)
        co, si = np.cos(row[ANGLE]), np.sin(row[ANGLE])
        seed = int(row[SEED])
        p2, p3 = 6.2832 * uniform(seed, 1, 90), 6.2832 * uniform(seed, 2, 90)
        small = min(row[A], row[B])
        spot_u, spot_v = 0.9 * (uniform(seed, 3, 90) - 0.5), 0.9 * (uniform(seed, 4, 90) - 0.5)
        nucleus = ids[k] != 0
        for r in range(r0, r1):
            dy = (r + 0.5 - y0) * scale
            for c in range(c0, c1):
                dx = (c + 0.5 - x0) * scale
                u, v = (co * dx + si * dy) / row[A], (co * dy - si * dx) / row[B]
                rho = np.sqrt(u * u + v * v)
                if rho > 1.6:
                    continue
                t = np.arctan2(v, u)
                rho -= row[ROUGH] * (np.cos(2.0 * t + p2) + 0.7 * np.cos(3.0 * t + p3))
                inside = (1.0 - rho) * small
                cover = min(1.0, max(0.0, 0.5 + inside / scale)) * row[COVER]
                if cover <= 0.0:
                    continue
                wx, wy = (origin[0] + c + 0.5) * scale, (origin[1] + r + 0.5) * scale
                if nucleus:
                    grain = 0.24 * noise(seed, wx / 2.1, wy / 2.1) + 0.12 * noise(
                        seed + 1, wx / 1.1, wy / 1.1
                    )
                    rim = max(0.0, 1.0 - abs(inside - 0.9) / 1.1)
                    level = 1.0 + grain + row[VESICLE] * (0.75 * rim - 0.38 * min(1.0, inside / 3.0))
                    spot = 1.0 - ((u - spot_u) ** 2 + (v - spot_v) ** 2) * small * small / 3.2
                    if row[VESICLE] > 0.3 and spot > 0.0:
                        level += 0.9 * spot
                else:
                    level = 1.0 + 0.25 * noise(seed, wx / 2.0, wy / 2.0)
                for s in range(3):
                    target = row[HAEM + s] * level
                    stains[r, c, s] += np.float32(cover * (target - stains[r, c, s]))
                if nucleus and inside >= 0.0:
                    id_map[r, c] = ids[k]
