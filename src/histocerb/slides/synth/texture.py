"""Concentrations of stain in tissue without its glands and cells: fibres, gaps, mucus, debris, fat.

Functions take rows of `lattice_memory` first (how many, they say); see `noise.smooth`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.config import Tissue
from histocerb.slides.synth.noise import Floats, compiled, lattice_memory, smooth, uniform

FAT_PX = 165.0
"""Typical diameter of a fat cell (82 um)."""

_GLASS, _ABNORMAL, _NORMAL, _INFLAMED, _MUSCLE, _STROMA, _DEBRIS, _MUCUS, _FAT = (int(t) for t in Tissue)


@compiled
def ramp(value: float, start: float, slope: float) -> float:
    """0 up to `start`, then rising to 1."""
    return min(1.0, max(0.0, (value - start) * slope))


@compiled
def fibre_axes(memory: Floats, seed: int, x: float, y: float, angle: float) -> tuple[float, float]:
    """Coordinates along and across the fibres, which run at `angle` on average and wave. Memory: 2."""
    c, s = np.cos(angle), np.sin(angle)
    bend = 30.0 * smooth(memory[0], seed + 31, x / 140.0, y / 140.0)
    bend += 7.0 * smooth(memory[1], seed + 32, x / 50.0, y / 50.0)
    return c * x + s * y, c * y - s * x + bend


@compiled
def fibre_angle(memory: Floats, seed: int, x: float, y: float, angle: float) -> float:
    """Direction of the fibres at a position. Memory: 2."""
    here = fibre_axes(memory, seed, x, y, angle)[1]
    dx = fibre_axes(memory, seed, x + 3.0, y, angle)[1] - here
    dy = fibre_axes(memory, seed, x, y + 3.0, angle)[1] - here
    return float(np.arctan2(-dx, dy))


@compiled
def fat_edge(memory: Floats, seed: int, x: float, y: float) -> float:
    """Distance to the nearest membrane between fat cells. Memory: 2."""
    bx = x + 12.0 * smooth(memory[0], seed + 41, x / 60.0, y / 60.0)
    by = y + 12.0 * smooth(memory[1], seed + 42, x / 60.0, y / 60.0)
    ci, cj = int(np.floor(bx / FAT_PX)), int(np.floor(by / FAT_PX))
    best, other, third = 1e18, 1e18, 1e18
    px, py, ox, oy = 0.0, 0.0, 0.0, 0.0
    for j in range(cj - 1, cj + 2):
        for i in range(ci - 1, ci + 2):
            sx = (i + 0.18 + 0.64 * uniform(seed + 43, i, j)) * FAT_PX
            sy = (j + 0.18 + 0.64 * uniform(seed + 44, i, j)) * FAT_PX
            d = (bx - sx) ** 2 + (by - sy) ** 2
            if d < best:
                third, other, ox, oy = other, best, px, py
                best, px, py = d, sx, sy
            elif d < other:
                third, other, ox, oy = other, d, sx, sy
            elif d < third:
                third = d
    straight = (other - best) / (2.0 * np.hypot(px - ox, py - oy) + 1e-9)
    corner = np.sqrt(third) - np.sqrt(best)
    return float(straight - 2.6 * max(0.0, 1.0 - corner / 26.0))


@compiled
def _fibrous(memory: Floats, seed: int, x: float, y: float, angle: float, kind: int) -> tuple[float, float]:
    """Haematoxylin and eosin of stroma, muscle, lamina propria and inflamed tissue. Memory: 7."""
    u, v = fibre_axes(memory, seed, x, y, angle)
    coarse = smooth(memory[2], seed + 33, u / 95.0, v / 9.0)
    fine = smooth(memory[3], seed + 34, u / 28.0, v / 2.8)
    patch = smooth(memory[4], seed + 35, x / 150.0, y / 150.0)
    if kind == _MUSCLE:
        eosin = 0.66 + 0.15 * coarse + 0.14 * fine + 0.10 * patch
        gap = ramp(smooth(memory[5], seed + 36, u / 170.0, v / 13.0) + 0.3 * patch, 0.55, 7.0)
        return 0.12 + 0.05 * coarse, max(0.02, eosin) * (1.0 - 0.9 * gap)
    if kind in (_STROMA, _ABNORMAL):
        eosin = 0.46 + 0.24 * coarse + 0.20 * fine + 0.14 * patch
        gap = ramp(smooth(memory[5], seed + 36, u / 60.0, v / 8.0) + 0.6 * patch, 0.28, 4.0)
        return 0.08 + 0.04 * fine, max(0.02, eosin) * (1.0 - 0.92 * gap)
    speck = smooth(memory[6], seed + 37, x / 3.6, y / 3.6)
    hole = smooth(memory[5], seed + 38, (u + 6.0 * coarse) / 24.0, (v + 5.0 * coarse) / 15.0)
    gap = ramp(hole + 0.35 * patch + 0.12 * speck, 0.30, 4.5)
    eosin = 0.33 + 0.16 * coarse + 0.15 * fine + 0.10 * speck
    haem = 0.10 + 0.05 * speck
    if kind == _INFLAMED:
        haem, eosin = haem + 0.10, eosin * 0.75
    return haem * (1.0 - 0.8 * gap), max(0.02, eosin) * (1.0 - 0.88 * gap)


@compiled
def necrosis(memory: Floats, seed: int, x: float, y: float) -> tuple[float, float]:
    """Haematoxylin and eosin of dead tissue: granular, cracked, with dark dust. Memory: 5."""
    blot = smooth(memory[0], seed + 51, x / 27.0, y / 27.0)
    tx, ty = 0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y
    grain = smooth(memory[1], seed + 52, tx / 5.5, ty / 5.5)
    dust = smooth(memory[2], seed + 53, x / 2.2, y / 2.2)
    crack = ramp(smooth(memory[3], seed + 54, tx / 30.0, ty / 30.0) + 0.45 * grain, 0.34, 5.0)
    dark = ramp(smooth(memory[4], seed + 55, ty / 6.5, tx / 6.5) + 0.35 * blot, 0.56, 5.0)
    eosin = (0.55 + 0.20 * blot + 0.22 * grain + 0.14 * dust) * (1.0 - 0.95 * crack)
    return (0.10 + 0.85 * dark + 0.05 * grain) * (1.0 - 0.95 * crack), max(0.02, eosin)


@compiled
def mucin(memory: Floats, seed: int, x: float, y: float) -> tuple[float, float]:
    """Haematoxylin and eosin of pooled mucus: pale, with strings. Memory: 5."""
    dx = 34.0 * smooth(memory[0], seed + 61, x / 75.0, y / 75.0)
    dy = 34.0 * smooth(memory[1], seed + 62, x / 75.0, y / 75.0)
    string = abs(smooth(memory[2], seed + 63, (x + dx) / 60.0, (y + dy) / 16.0))
    web = abs(smooth(memory[3], seed + 64, (x + dy) / 14.0, (y + dx) / 8.0))
    cloud = smooth(memory[4], seed + 65, x / 90.0, y / 90.0)
    strength = max(0.0, 0.55 + 0.8 * cloud)
    line = max(0.0, 1.0 - string / 0.10) * strength
    thin = max(0.0, 1.0 - web / 0.12) * strength
    return 0.14 + 0.07 * cloud + 0.26 * line + 0.11 * thin, 0.07 + 0.17 * line + 0.04 * thin


@compiled
def base(
    seed: int,
    kind: npt.NDArray[np.uint8],
    angle: npt.NDArray[np.float32],
    depth: npt.NDArray[np.float32],
    origin: npt.NDArray[np.int64],
    scale: float,
) -> npt.NDArray[np.float32]:
    """Concentrations H x W x 3 (haematoxylin, eosin, red) for the tissue map of a region."""
    height, width = kind.shape
    out = np.zeros((height, width, 3), np.float32)
    fat, dead, slime, fibres, edge = (
        lattice_memory(3), lattice_memory(5), lattice_memory(5), lattice_memory(7), lattice_memory(1),
    )  # fmt: skip
    for r in range(height):
        for c in range(width):
            what = kind[r, c]
            if what == _GLASS:
                continue
            x, y = (origin[0] + c + 0.5) * scale, (origin[1] + r + 0.5) * scale
            if what == _FAT:
                wall = 1.1 + 0.9 * smooth(fat[2], seed + 45, x / 40.0, y / 40.0)
                line = max(0.0, 1.0 - max(0.0, fat_edge(fat, seed, x, y) - wall) / 1.4)
                haem, eosin = 0.10 * line + 0.01, 0.50 * line + 0.015
            elif what == _MUCUS:
                haem, eosin = mucin(slime, seed, x, y)
            elif what == _DEBRIS:
                haem, eosin = necrosis(dead, seed, x, y)
            else:
                haem, eosin = _fibrous(fibres, seed, x, y, angle[r, c], what)
            solid = 1.0
            if depth[r, c] < 14.0:
                ragged = depth[r, c] - 5.0 * (1.0 + smooth(edge[0], seed + 46, x / 12.0, y / 12.0))
                solid = ramp(ragged, 0.0, 0.5)
            out[r, c, 0] = haem * solid
            out[r, c, 1] = eosin * solid
    return out
