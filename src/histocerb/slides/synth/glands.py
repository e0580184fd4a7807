"""Outlines of glands: a bent, stretched lattice per tissue patch, moulded by its neighbours.

A gland is a star-shaped outline in lattice coordinates, cut by the bisectors to the eight lattice
neighbours, so that glands touch but never overlap. Crypts of normal mucosa are round or, where the
patch is cut lengthwise, long; those of abnormal epithelium are larger, irregular and crowded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.config import Tissue
from histocerb.slides.synth.layout import SURFACE_PX, Ints, Sites, locate, unwarp
from histocerb.slides.synth.noise import Floats, compiled, mix, uniform

REACH = 8
"""Lattice cells on each side of a site that can hold a gland."""
PER_SITE = 320
"""Numbers for the glands of a site: (2 * REACH + 1)**2 glands, then surface strips."""
VERTICES = 96

_ABNORMAL = int(Tissue.ABNORMAL)
_NORMAL = int(Tissue.NORMAL)


@dataclass(frozen=True)
class GlandShape:
    """One gland before it is drawn.

    Attributes:
        number: within its site, < PER_SITE.
        outline: VERTICES x 2, world coordinates.
        abnormal: of abnormal epithelium.
        seed: for everything inside.
        site_seed: shared by the glands of the patch.
    """

    number: int
    outline: Floats
    abnormal: bool
    seed: int
    site_seed: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1."""
        low, high = self.outline.min(axis=0), self.outline.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@compiled
def _lattice(seed: int, i: int, j: int, jitter: float) -> tuple[float, float]:
    x = i + 0.5 * (j & 1) + jitter * (uniform(seed + 1, i, j) - 0.5)
    return x, 0.88 * (j + jitter * (uniform(seed + 2, i, j) - 0.5))


@compiled
def _outline(seed: int, i: int, j: int, jitter: float, form: Floats) -> Floats:
    """Star-shaped outline in lattice units around lattice point (i, j).

    `form`: base radius, irregularity, gap to neighbours, highest harmonic.
    """
    x, y = _lattice(seed, i, j, jitter)
    own = mix(seed + 3, i, j)
    radius = form[0] * (0.85 + 0.3 * uniform(own, 0, 0))
    gap = form[2] * uniform(own, 0, 1) ** 2
    near = np.empty((24, 3))
    n = 0
    for dj in range(-2, 3):
        for di in range(-2, 3):
            if di != 0 or dj != 0:
                nx, ny = _lattice(seed, i + di, j + dj, jitter)
                far = np.hypot(nx - x, ny - y)
                near[n, 0], near[n, 1], near[n, 2] = (
                    (nx - x) / far,
                    (ny - y) / far,
                    max(0.08, 0.5 * far - gap),
                )
                n += 1
    points = np.empty((VERTICES, 2))
    for k in range(VERTICES):
        t = 2.0 * np.pi * k / VERTICES
        c, s = np.cos(t), np.sin(t)
        base = 1.0
        for h in range(2, int(form[3])):
            amplitude = form[1] * (uniform(own, h, 2) - 0.5) * 2.0 / np.sqrt(h)
            base += amplitude * np.cos(h * t + 6.2832 * uniform(own, h, 3))
        total = max(0.35, base * radius) ** -8.0
        for m in range(24):
            along = near[m, 0] * c + near[m, 1] * s
            if along > 0.05:
                ratio = along / near[m, 2]
                ratio *= ratio
                ratio *= ratio
                total += ratio * ratio
        reach = total**-0.125
        points[k, 0], points[k, 1] = x + reach * c, y + reach * s
    return points


@compiled
def _belongs(
    table: Floats, corner: Ints, side: float, site: Floats, least: float, wx: float, wy: float
) -> bool:
    """True when a bent position lies in the cell of `site` and deeper than `least` below glass."""
    bj, bi, _, _, depth, _ = locate(table, corner[0], corner[1], side, wx, wy)
    return table[bj, bi, 0] == site[0] and table[bj, bi, 1] == site[1] and depth >= least


@compiled
def _place(
    points: Floats, site: Floats, size: Floats, where: Floats, table: Floats, corner: Ints
) -> tuple[bool, Floats]:
    """Lattice outline to world, drawn in where it would leave its tissue patch; False if little is left.

    `where`: seed, side of the grid of sites, least depth below glass.
    """
    seed, side, least = int(where[0]), where[1], where[2]
    c, s = np.cos(site[3]), np.sin(site[3])
    n = len(points)
    mx, my = points[:, 0].mean() * size[0], points[:, 1].mean() * size[1]
    wx, wy = site[0] + c * mx - s * my, site[1] + s * mx + c * my
    world = np.empty_like(points)
    if not _belongs(table, corner, side, site, least + 12.0, wx, wy):
        return False, world
    share = np.empty(n)
    vectors = np.empty((n, 2))
    for k in range(n):
        u, v = points[k, 0] * size[0] - mx, points[k, 1] * size[1] - my
        vectors[k, 0], vectors[k, 1] = c * u - s * v, s * u + c * v
        share[k] = 1.0
        while share[k] > 0.2:
            t = share[k] * 1.04
            if _belongs(table, corner, side, site, least, wx + t * vectors[k, 0], wy + t * vectors[k, 1]):
                break
            share[k] -= 0.06
    if share.min() < 0.35 or share.mean() < 0.62:
        return False, world
    for k in range(n):
        mean = 0.0
        for m in range(-5, 6):
            mean += share[(k + m) % n] / 11.0
        t = min(mean, share[k])
        world[k, 0], world[k, 1] = unwarp(seed, side, wx + t * vectors[k, 0], wy + t * vectors[k, 1])
    return True, world


def _form(seed: int, abnormal: bool) -> tuple[Floats, Floats, float]:
    """Outline form, lattice size (along, across; world px) and jitter of the glands of a site."""
    u = [uniform(seed, k, 40) for k in range(6)]
    if abnormal:
        across = 140.0 + 170.0 * u[0]
        stretch = 1.0 + 1.2 * u[1] ** 2
        return (
            np.array([0.66, 0.12 + 0.30 * u[2], 0.02 + 0.08 * u[4], 9.0]),
            np.array([across * stretch, across]),
            0.42,
        )
    across = 145.0 + 75.0 * u[0]
    stretch = 1.0 + 0.25 * u[1] if u[3] < 0.6 else 1.6 + 1.4 * u[1]
    form = np.array([0.46 + 0.10 * u[2], 0.06 + 0.08 * u[4], 0.09, 6.0])
    return form, np.array([across * stretch, across]), 0.22


def shapes_of_site(sites: Sites, row: int, column: int) -> list[GlandShape]:
    """The glands of the site at (row, column) of the table; none unless it is normal or abnormal."""
    site = sites.table[row, column]
    if site[2] not in (_NORMAL, _ABNORMAL):
        return []
    abnormal = bool(site[2] == _ABNORMAL)
    seed = mix(sites.seed + 20, sites.i0 + column, sites.j0 + row)
    form, size, jitter = _form(seed, abnormal)
    where = np.array([float(sites.seed), sites.side, 4.0 if abnormal else SURFACE_PX + 5.0])
    corner = np.array([sites.i0, sites.j0])
    shapes = []
    for j in range(-REACH, REACH + 1):
        for i in range(-REACH, REACH + 1):
            if uniform(seed + 4, i, j) > 0.95 or _too_far(sites.side, size, i, j):
                continue
            points = _outline(seed, i, j, jitter, form)
            inside, world = _place(points, site, size, where, sites.table, corner)
            if inside:
                number = (j + REACH) * (2 * REACH + 1) + i + REACH
                shapes.append(GlandShape(number, world, abnormal, mix(seed + 5, i, j), seed))
    return shapes


def _too_far(side: float, size: Floats, i: int, j: int) -> bool:
    return bool(np.hypot(i * size[0], 0.88 * j * size[1]) > 1.1 * side)


@compiled
def clearance(outline: Floats, x: float, y: float) -> float:
    """Distance from a point to an outline: negative inside."""
    best, inside = 1e18, False
    n = len(outline)
    for k in range(n):
        ax, ay = outline[k, 0], outline[k, 1]
        bx, by = outline[(k + 1) % n, 0], outline[(k + 1) % n, 1]
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            inside = not inside
        ex, ey = bx - ax, by - ay
        t = ((x - ax) * ex + (y - ay) * ey) / max(ex * ex + ey * ey, 1e-12)
        t = min(1.0, max(0.0, t))
        best = min(best, (x - ax - t * ex) ** 2 + (y - ay - t * ey) ** 2)
    return float(-np.sqrt(best) if inside else np.sqrt(best))


@compiled
def fill(mask: npt.NDArray[np.uint8], outline: Floats, x0: float, y0: float, scale: float) -> None:
    """Set pixels whose centre lies inside the outline; exact, so the same wherever the mask is cut."""
    height, width = mask.shape
    n = len(outline)
    crossings = np.empty(n)
    for r in range(height):
        y = (r + 0.5) * scale + y0
        found = 0
        for k in range(n):
            ax, ay = outline[k, 0], outline[k, 1]
            bx, by = outline[(k + 1) % n, 0], outline[(k + 1) % n, 1]
            if (ay > y) != (by > y):
                crossings[found] = ax + (y - ay) / (by - ay) * (bx - ax)
                found += 1
        for k in range(1, found):
            value, place = crossings[k], k
            while place > 0 and crossings[place - 1] > value:
                crossings[place] = crossings[place - 1]
                place -= 1
            crossings[place] = value
        for k in range(0, found - 1, 2):
            first = max(0, int(np.ceil((crossings[k] - x0) / scale - 0.5)))
            last = min(width, int(np.ceil((crossings[k + 1] - x0) / scale - 0.5)))
            mask[r, first:last] = 1
