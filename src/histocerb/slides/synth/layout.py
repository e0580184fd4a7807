"""Which tissue is where: a bent Voronoi diagram of hashed sites.

World coordinates are pixels of 0.5 um. A smooth warp bends them; in the bent plane every tissue patch is
the Voronoi cell of its site, so borders between patches are straight there and organic on the slide. The
diagram is local: a position looks at the 3 x 3 sites around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.config import SynthConfig, Tissue
from histocerb.slides.synth.noise import Floats, compiled, lattice_memory, noise, smooth, uniform

Ints = npt.NDArray[np.int64]

SURFACE_PX = 46.0
"""Height of the surface epithelium where mucosa meets glass."""

ROUGH_PX = 55.0
"""Borders between tissues other than glass are ragged by less than this."""

_ORDER = (
    Tissue.GLASS,
    Tissue.NORMAL,
    Tissue.INFLAMED,
    Tissue.ABNORMAL,
    Tissue.DEBRIS,
    Tissue.MUCUS,
    Tissue.STROMA,
    Tissue.MUSCLE,
    Tissue.FAT,
)
_GLASS = int(Tissue.GLASS)
_NORMAL = int(Tissue.NORMAL)
_STROMA, _INFLAMED = int(Tissue.STROMA), int(Tissue.INFLAMED)


@compiled
def warp(memory: Floats, seed: int, side: float, x: float, y: float) -> tuple[float, float]:
    """Bent position of a world position; invertible (its slope stays below 1). `memory`: 4 rows."""
    f, g = 1.0 / (0.5 * side), 1.0 / 48.0
    dx = smooth(memory[0], seed + 11, x * f, y * f) * 0.13 * side + 4.5 * smooth(
        memory[1], seed + 12, x * g, y * g
    )
    dy = smooth(memory[2], seed + 13, x * f, y * f) * 0.13 * side + 4.5 * smooth(
        memory[3], seed + 14, x * g, y * g
    )
    return x + dx, y + dy


@compiled
def unwarp(seed: int, side: float, wx: float, wy: float) -> tuple[float, float]:
    """World position of a bent position, by fixed-point iteration."""
    x, y = wx, wy
    memory = lattice_memory(4)
    for _ in range(12):
        bx, by = warp(memory, seed, side, x, y)
        x += wx - bx
        y += wy - by
    return x, y


@compiled
def _tissue(seed: int, i: int, j: int, edges: Floats, order: Ints) -> int:
    """Tissue of a site by a low-discrepancy sequence over the grid, so that few sites hold a bit of all."""
    u = uniform(seed + 1, 0, 0) + 0.7548776662 * i + 0.5698402910 * j
    u += 0.10 * (uniform(seed + 2, i, j) - 0.5) + 0.2 * noise(seed + 3, i / 6.0 + 0.4, j / 6.0 + 0.3)
    k = 0
    while k < len(order) - 1 and edges[k] <= u - np.floor(u):
        k += 1
    return int(order[k])


@compiled
def site_table(seed: int, side: float, bounds: Ints, edges: Floats, order: Ints) -> Floats:
    """Sites of the grid cells i0..i1, j0..j1 (`bounds`): rows of (x, y, tissue, angle).

    Stroma and inflammation beside glass often become mucosa, which is what borders on glass in a bowel.
    """
    i0, j0, i1, j1 = bounds[0], bounds[1], bounds[2], bounds[3]
    normal = edges[1] - edges[0]
    table = np.empty((j1 - j0, i1 - i0, 4))
    for j in range(j0, j1):
        for i in range(i0, i1):
            tissue = _tissue(seed, i, j, edges, order)
            if tissue in (_STROMA, _INFLAMED) and uniform(seed + 7, i, j) < 2.5 * normal:
                for dj, di in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                    if _tissue(seed, i + di, j + dj, edges, order) == _GLASS:
                        tissue = _NORMAL
            row = table[j - j0, i - i0]
            row[0] = (i + 0.18 + 0.64 * uniform(seed + 4, i, j)) * side
            row[1] = (j + 0.18 + 0.64 * uniform(seed + 5, i, j)) * side
            row[2] = tissue
            row[3] = np.pi * uniform(seed + 6, i, j)
    return table


@compiled
def locate(
    table: Floats, i0: int, j0: int, side: float, wx: float, wy: float
) -> tuple[int, int, int, int, float, float]:
    """Where a bent position is.

    Returns:
        Row and column in `table` of its site; row and column of the glass site whose border is nearest and
        the distance to that border (1e9 without glass near); a lower bound on the distance to any border.
        Distances are in bent pixels.
    """
    ci, cj = int(np.floor(wx / side)) - i0, int(np.floor(wy / side)) - j0
    rows, columns = (
        range(max(0, cj - 1), min(len(table), cj + 2)),
        range(max(0, ci - 1), min(table.shape[1], ci + 2)),
    )
    best, other, bj, bi = 1e18, 1e18, 0, 0
    for j in rows:
        for i in columns:
            d = (wx - table[j, i, 0]) ** 2 + (wy - table[j, i, 1]) ** 2
            if d < best:
                best, other, bj, bi = d, best, j, i
            elif d < other:
                other = d
    depth, gj, gi = 1e9, 0, 0
    for j in rows:
        for i in columns:
            if table[j, i, 2] != _GLASS or (j == bj and i == bi):
                continue
            d = (wx - table[j, i, 0]) ** 2 + (wy - table[j, i, 1]) ** 2
            apart = np.hypot(table[j, i, 0] - table[bj, bi, 0], table[j, i, 1] - table[bj, bi, 1])
            s = (d - best) / (2.0 * apart)
            if s < depth:
                depth, gj, gi = s, j, i
    return bj, bi, gj, gi, depth, 0.5 * (np.sqrt(other) - np.sqrt(best))


@dataclass(frozen=True)
class Sites:
    """The sites around a region, and the seeds to place things by."""

    seed: int
    side: float
    i0: int
    j0: int
    table: Floats
    """rows x columns x (x, y, tissue, angle)."""


def sites_around(seed: int, config: SynthConfig, x0: float, y0: float, x1: float, y1: float) -> Sites:
    """The sites that can matter for the world rectangle.

    There are spare grid cells on every side: the glands of sites two cells away are laid out as well, which
    takes three cells more.
    """
    side = float(config.site_px)
    i0, j0 = int(np.floor(x0 / side)) - 5, int(np.floor(y0 / side)) - 5
    i1, j1 = int(np.floor(x1 / side)) + 6, int(np.floor(y1 / side)) + 6
    order = np.array([int(tissue) for tissue in _ORDER])
    weights = np.array([config.weights[tissue] for tissue in _ORDER])
    edges = np.cumsum(weights / weights.sum())
    table = site_table(seed, side, np.array([i0, j0, i1, j1]), edges, order)
    return Sites(seed, side, i0, j0, table)


@compiled
def rasterise(
    seed: int, side: float, table: Floats, corner: Ints, origin: Ints, size: Ints, scale: float
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Per pixel: tissue, angle of its fibres, depth below glass, and index of the surface strip + 1 (or 0).

    The strip's index is site row, site column (in `table`) and the 7 x 7 neighbour that is glass, packed.
    """
    height, width = size[0], size[1]
    kind = np.zeros((height, width), np.uint8)
    angle = np.zeros((height, width), np.float32)
    depth = np.full((height, width), 1e9, np.float32)
    strip = np.zeros((height, width), np.int32)
    memory, rough = lattice_memory(4), lattice_memory(4)
    for r in range(height):
        for c in range(width):
            x, y = (origin[0] + c + 0.5) * scale, (origin[1] + r + 0.5) * scale
            wx, wy = warp(memory, seed, side, x, y)
            bj, bi, gj, gi, s, clear = locate(table, corner[0], corner[1], side, wx, wy)
            depth[r, c] = s
            if table[bj, bi, 2] == _NORMAL and s < SURFACE_PX:
                strip[r, c] = 1 + (bj * table.shape[1] + bi) * 49 + (gj - bj + 3) * 7 + (gi - bi + 3)
            elif table[bj, bi, 2] != _GLASS and clear < ROUGH_PX:
                wx += 22.0 * smooth(rough[0], seed + 15, x / 70.0, y / 70.0)
                wx += 7.0 * smooth(rough[1], seed + 16, x / 17.0, y / 17.0)
                wy += 22.0 * smooth(rough[2], seed + 17, x / 70.0, y / 70.0)
                wy += 7.0 * smooth(rough[3], seed + 18, x / 17.0, y / 17.0)
                oj, oi, _, _, _, _ = locate(table, corner[0], corner[1], side, wx, wy)
                if table[oj, oi, 2] != _GLASS:
                    bj, bi = oj, oi
            kind[r, c] = int(table[bj, bi, 2])
            angle[r, c] = table[bj, bi, 3]
    return kind, angle, depth, strip
