"""Small blood vessels in connective tissue: wall, endothelial nuclei, red blood cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.cells import COLUMNS, set_row
from histocerb.slides.synth.config import Tissue
from histocerb.slides.synth.glands import VERTICES, clearance
from histocerb.slides.synth.layout import Sites, locate, warp
from histocerb.slides.synth.noise import Floats, compiled, lattice_memory, mix, uniform

GRID_PX = 290.0
REACH_PX = 90.0
"""No vessel reaches farther than this from its centre."""
MAX_NUCLEI = 32
_MOST_BLOOD = 200

_CHANCE: Floats = np.array([0.0, 0.30, 0.30, 0.45, 0.22, 0.55, 0.0, 0.0, 0.0])
"""Of a vessel in a grid cell, by tissue class."""
_SMALL = (int(Tissue.ABNORMAL), int(Tissue.NORMAL), int(Tissue.INFLAMED))


@dataclass(frozen=True)
class Vessel:
    """One vessel.

    Attributes:
        i, j: its grid cell.
        outline: VERTICES x 2, world coordinates, around the wall.
        bodies: rows: wall, lumen, red blood cells.
        nuclei: rows of endothelial nuclei; their order numbers them.
    """

    i: int
    j: int
    outline: Floats
    bodies: Floats
    nuclei: Floats


@compiled
def _site(
    sites_seed: int, side: float, table: Floats, corner: npt.NDArray[np.int64], x: float, y: float
) -> tuple[int, float]:
    """Tissue and depth below glass at a world position."""
    wx, wy = warp(lattice_memory(4), sites_seed, side, x, y)
    bj, bi, _, _, depth, _ = locate(table, corner[0], corner[1], side, wx, wy)
    return int(table[bj, bi, 2]), depth


@compiled
def _draw(
    seed: int, x: float, y: float, a: float, b: float, angle: float, wall: float
) -> tuple[Floats, Floats]:
    """Rows of bodies and nuclei for an elliptic vessel of inner semi-axes a, b."""
    bodies, nuclei = np.zeros((_MOST_BLOOD + 2, COLUMNS)), np.zeros((MAX_NUCLEI, COLUMNS))
    c, s = np.cos(angle), np.sin(angle)
    for k in range(2):
        thick = wall if k == 0 else 0.0
        colour = (0.14, 0.62, 0.0, 0.02, 0.0, 0.97) if k == 0 else (0.015, 0.02, 0.0, 0.02, 0.0, 0.97)
        set_row(bodies[k], (x, y, a + thick, b + thick, angle), colour, seed)
    n, red = 2, uniform(seed, 0, 1)
    for k in range(_MOST_BLOOD):
        t, far = 6.2832 * uniform(seed, k, 2), np.sqrt(uniform(seed, k, 3))
        if uniform(seed, k, 4) > red or k > a * b / 9.0:
            continue
        u, v = (a - 3.5) * far * np.cos(t), (b - 3.5) * far * np.sin(t)
        r = 3.6 + 0.9 * uniform(seed, k, 5)
        place = (x + c * u - s * v, y + s * u + c * v, r, r * (0.6 + 0.4 * uniform(seed, k, 6)), t)
        set_row(bodies[n], place, (0.0, 0.25, 0.75, 0.06, 0.0, 0.9), mix(seed, k, 7))
        n += 1
    count = min(MAX_NUCLEI, int(3.0 + (a + b) / 7.0))
    for k in range(count):
        t = 6.2832 * (k + 0.6 * uniform(seed, k, 8)) / count
        u, v = (a + 0.4 * wall) * np.cos(t), (b + 0.4 * wall) * np.sin(t)
        turn = angle + np.arctan2(b * np.cos(t), -a * np.sin(t))
        long, wide = 5.5 + 2.5 * uniform(seed, k, 9), 1.9 + 0.9 * uniform(seed, k, 10)
        colour = (1.2 + 0.4 * uniform(seed, k, 12), 0.3, 0.0, 0.06, 0.0, 0.93)
        set_row(nuclei[k], (x + c * u - s * v, y + s * u + c * v, long, wide, turn), colour, mix(seed, k, 11))
    return bodies[:n].copy(), nuclei[:count].copy()


def _vessel(sites: Sites, i: int, j: int, glands: Floats) -> Vessel | None:
    seed = mix(sites.seed + 90, i, j)
    x, y = (i + uniform(seed, 1, 0)) * GRID_PX, (j + uniform(seed, 2, 0)) * GRID_PX
    corner = np.array([sites.i0, sites.j0])
    tissue, depth = _site(sites.seed, sites.side, sites.table, corner, x, y)
    if uniform(seed, 3, 0) > _CHANCE[tissue]:
        return None
    largest = 14.0 if tissue in _SMALL else 38.0
    b = 5.0 + (largest - 5.0) * uniform(seed, 4, 0) ** 2
    a = b * (1.0 + 1.2 * uniform(seed, 5, 0) ** 2)
    wall, angle = 2.5 + 0.25 * b * uniform(seed, 6, 0), np.pi * uniform(seed, 7, 0)
    if depth < a + wall + 60.0 or any(clearance(gland, x, y) < a + wall + 3.0 for gland in glands):
        return None
    t = 2.0 * np.pi * np.arange(VERTICES) / VERTICES
    u, v = (a + wall) * np.cos(t), (b + wall) * np.sin(t)
    outline = np.stack(
        [x + np.cos(angle) * u - np.sin(angle) * v, y + np.sin(angle) * u + np.cos(angle) * v], 1
    )
    return Vessel(i, j, outline, *_draw(seed, x, y, a, b, angle, wall))


def vessels_near(sites: Sites, rectangle: tuple[float, float, float, float], glands: Floats) -> list[Vessel]:
    """Vessels that can reach the world rectangle.

    Args:
        sites: tissue layout around it.
        rectangle: world coordinates x0, y0, x1, y1.
        glands: n x VERTICES x 2, outlines of all glands within twice REACH_PX.
    """
    x0, y0, x1, y1 = rectangle
    found = []
    for j in range(int((y0 - REACH_PX) // GRID_PX), int((y1 + REACH_PX) // GRID_PX) + 1):
        for i in range(int((x0 - REACH_PX) // GRID_PX), int((x1 + REACH_PX) // GRID_PX) + 1):
            vessel = _vessel(sites, i, j, glands)
            if vessel is not None:
                found.append(vessel)
    return found
