"""Cells outside glands: candidates on a jittered grid, thinned so that they hardly overlap.

A candidate stays unless one of higher rank lies too close (Matern's second thinning), which looks only at
the grid cells around it: the same cells come out whatever region is asked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.cells import COLUMNS, MAX_ROWS, OCCUPANCY, SHARES, draw_cell
from histocerb.slides.synth.config import Cell, Tissue
from histocerb.slides.synth.glands import clearance
from histocerb.slides.synth.layout import SURFACE_PX, Ints, Sites, locate, warp
from histocerb.slides.synth.noise import Floats, compiled, lattice_memory, mix, noise, uniform
from histocerb.slides.synth.texture import fat_edge, fibre_angle

GRID_PX = 12.5
"""Side of a grid cell; at most one candidate each."""
SPARE = 12
"""Grid cells beyond each border of a slide that can hold a cell that reaches into it, for numbering."""
REACH_PX = 24.0
"""No cell reaches farther than this from its centre (nuclear size 1.5)."""

_RADII: Floats = np.array([4.6, 7.0, 5.0, 6.0, 6.2, 3.6])
_CONNECTIVE, _LYMPHOCYTE = int(Cell.CONNECTIVE), int(Cell.LYMPHOCYTE)
_FAT, _NORMAL, _STROMA, _MUSCLE = int(Tissue.FAT), int(Tissue.NORMAL), int(Tissue.STROMA), int(Tissue.MUSCLE)


@compiled
def _candidate(
    memory: Floats,
    seed: int,
    side: float,
    table: Floats,
    corner: Ints,
    cell: Ints,
    glands: Floats,
    boxes: Floats,
    size: float,
) -> tuple[int, float, float, float]:
    """Class (or -1), position and fibre angle of the candidate in a grid cell."""
    i, j = cell[0], cell[1]
    x = (i + 0.5 + 0.8 * (uniform(seed + 71, i, j) - 0.5)) * GRID_PX
    y = (j + 0.5 + 0.8 * (uniform(seed + 72, i, j) - 0.5)) * GRID_PX
    wx, wy = warp(memory, seed, side, x, y)
    bj, bi, _, _, depth, _ = locate(table, corner[0], corner[1], side, wx, wy)
    tissue, angle = int(table[bj, bi, 2]), table[bj, bi, 3]
    crowd = 1.0 + 0.45 * noise(seed + 73, x / 110.0, y / 110.0)
    if uniform(seed + 74, i, j) > OCCUPANCY[tissue] * crowd:
        return -1, x, y, angle
    if depth < (SURFACE_PX + 2.0 if tissue == _NORMAL else 10.0):
        return -1, x, y, angle
    if tissue == _FAT and fat_edge(memory[4:], seed, x, y) > 3.5:
        return -1, x, y, angle
    pick = uniform(seed + 75, i, j)
    kind = 0
    while kind < 5 and pick >= SHARES[tissue, kind]:
        kind += 1
    room = 0.9 * _RADII[kind] * size
    for g in range(len(glands)):
        beside = x < boxes[g, 0] - room or x > boxes[g, 2] + room
        beyond = y < boxes[g, 1] - room or y > boxes[g, 3] + room
        if not beside and not beyond and clearance(glands[g], x, y) < room:
            return -1, x, y, angle
    if kind == _CONNECTIVE:
        if tissue == _FAT:
            here = fat_edge(memory[4:], seed, x, y)
            dx = fat_edge(memory[4:], seed, x + 1.5, y) - here
            dy = fat_edge(memory[4:], seed, x, y + 1.5) - here
            angle = np.arctan2(dx, -dy)
        else:
            angle = fibre_angle(memory[4:], seed, x, y, angle)
        if tissue == _NORMAL:
            angle += 1.6 * (uniform(seed + 76, i, j) - 0.5)
    else:
        angle = 6.2832 * uniform(seed + 76, i, j)
    return kind, x, y, angle


@compiled
def _survives(kinds: Ints, places: Floats, r: int, c: int, seed: int, first: Ints, size: float) -> bool:
    """True unless a neighbour of higher rank is too close."""
    own = uniform(seed + 77, first[0] + c, first[1] + r)
    for dr in range(-2, 3):
        for dc in range(-2, 3):
            other = kinds[r + dr, c + dc]
            if other < 0 or (dr == 0 and dc == 0):
                continue
            if uniform(seed + 77, first[0] + c + dc, first[1] + r + dr) < own:
                continue
            apart = 0.92 * size * (_RADII[kinds[r, c]] + _RADII[other])
            dx = places[r, c, 0] - places[r + dr, c + dc, 0]
            dy = places[r, c, 1] - places[r + dr, c + dc, 1]
            if dx * dx + dy * dy < apart * apart:
                return False
    return True


@compiled
def _grow(
    seed: int,
    side: float,
    table: Floats,
    corner: Ints,
    cells: Ints,
    glands: Floats,
    boxes: Floats,
    size: float,
    pitch: int,
) -> tuple[Floats, Floats, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Bodies, nuclei, their ids and classes for the grid cells i0..i1, j0..j1 (`cells`)."""
    i0, j0, i1, j1 = cells[0], cells[1], cells[2], cells[3]
    kinds = np.full((j1 - j0, i1 - i0), -1)
    places = np.zeros((j1 - j0, i1 - i0, 3))
    cell = np.zeros(2, np.int64)
    memory = lattice_memory(6)
    for r in range(j1 - j0):
        for c in range(i1 - i0):
            cell[0], cell[1] = i0 + c, j0 + r
            kind, x, y, angle = _candidate(memory, seed, side, table, corner, cell, glands, boxes, size)
            kinds[r, c] = kind
            places[r, c, 0], places[r, c, 1], places[r, c, 2] = x, y, angle
    room = kinds.size * MAX_ROWS
    bodies, nuclei = np.empty((room, COLUMNS)), np.empty((room, COLUMNS))
    ids, classes = np.empty(room, np.int32), np.empty(room, np.int32)
    first = np.array([i0, j0])
    nb, nn = 0, 0
    for r in range(2, j1 - j0 - 2):
        for c in range(2, i1 - i0 - 2):
            kind = kinds[r, c]
            if kind < 0 or not _survives(kinds, places, r, c, seed, first, size):
                continue
            i, j = i0 + c, j0 + r
            x, y, angle = places[r, c, 0], places[r, c, 1], places[r, c, 2]
            own = mix(seed + 78, i, j)
            more_b, more_n = draw_cell(kind, x, y, angle, own, size, bodies[nb:], nuclei[nn:])
            ids[nn : nn + more_n] = 1 + (j + SPARE) * pitch + i + SPARE
            classes[nn : nn + more_n] = kind
            nb, nn = nb + more_b, nn + more_n
    return bodies[:nb].copy(), nuclei[:nn].copy(), ids[:nn].copy(), classes[:nn].copy()


def field_cells(
    sites: Sites, rectangle: tuple[float, float, float, float], glands: Floats, size: float, pitch: int
) -> tuple[Floats, Floats, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Cells outside glands that can reach the world rectangle x0, y0, x1, y1.

    Args:
        sites: tissue layout around it.
        rectangle: world coordinates.
        glands: n x VERTICES x 2, outlines of all glands near it.
        size: factor on nuclear diameters.
        pitch: grid cells per row of the whole slide, with SPARE more on each side, for numbering.

    Returns:
        Rows of cell bodies, rows of nuclei, and per nucleus row its id (from 1) and class.
    """
    x0, y0, x1, y1 = rectangle
    spare = 2 + int(np.ceil(REACH_PX / GRID_PX))
    cells = np.array(
        [
            int(np.floor(x0 / GRID_PX)) - spare,
            int(np.floor(y0 / GRID_PX)) - spare,
            int(np.floor(x1 / GRID_PX)) + spare + 1,
            int(np.floor(y1 / GRID_PX)) + spare + 1,
        ]
    )
    boxes = (
        np.concatenate([glands.min(axis=1), glands.max(axis=1)], axis=1) if len(glands) else np.empty((0, 4))
    )
    corner = np.array([sites.i0, sites.j0])
    return _grow(sites.seed, sites.side, sites.table, corner, cells, glands, boxes, size, pitch)
