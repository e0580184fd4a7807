"""Surface epithelium: a strip of tall cells where normal mucosa meets glass.

Each pair (mucosal site, glass site) has one strip along the border between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.cells import COLUMNS, set_row
from histocerb.slides.synth.config import Appearance, Tissue
from histocerb.slides.synth.glands import REACH
from histocerb.slides.synth.layout import SURFACE_PX, Ints, Sites, locate, unwarp
from histocerb.slides.synth.noise import Floats, compiled, lattice_memory, mix, smooth, uniform

_FIRST_NUMBER = (2 * REACH + 1) ** 2
_NORMAL = int(Tissue.NORMAL)


@dataclass(frozen=True)
class Surface:
    """One strip.

    Attributes:
        row, column: its mucosal site in the table.
        number: within that site, above the numbers of glands.
        code: its value in the strip map.
        seed: for everything inside.
        bodies: rows of goblet cells.
        nuclei: rows, numbered by `numbers` from 1.
    """

    row: int
    column: int
    number: int
    code: int
    seed: int
    bodies: Floats
    nuclei: Floats
    numbers: npt.NDArray[np.int32]


@compiled
def _strip_cells(
    table: Floats, corner: Ints, pair: Ints, seed: int, side: float, own: int, form: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.int32]]:
    """Goblet cells and nuclei along the border of a pair (row, column, glass row, glass column)."""
    ax, ay = table[pair[0], pair[1], 0], table[pair[0], pair[1], 1]
    bx, by = table[pair[2], pair[3], 0], table[pair[2], pair[3], 1]
    apart = np.hypot(ax - bx, ay - by)
    nx, ny = (ax - bx) / apart, (ay - by) / apart
    mx, my = 0.5 * (ax + bx), 0.5 * (ay + by)
    step, long, wide, dark, share = form[0], form[1], form[2], form[3], form[4]
    half = int(1.2 * side / step)
    nuclei, goblets = np.empty((2 * half + 1, COLUMNS)), np.empty((2 * half + 1, COLUMNS))
    numbers = np.empty(2 * half + 1, np.int32)
    n, g = 0, 0
    for k in range(-half, half + 1):
        t = (k + 0.5 * (uniform(own, k, 1) - 0.5)) * step
        inward = SURFACE_PX - long - 4.0 - 9.0 * uniform(own, k, 2) ** 2
        wx, wy = mx - ny * t + nx * inward, my + nx * t + ny * inward
        bj, bi, gj, gi, _, _ = locate(table, corner[0], corner[1], side, wx, wy)
        if bj != pair[0] or bi != pair[1] or gj != pair[2] or gi != pair[3]:
            continue
        x, y = unwarp(seed, side, wx, wy)
        tx, ty = unwarp(seed, side, wx - 8.0 * nx, wy - 8.0 * ny)
        angle = np.arctan2(ty - y, tx - x)
        a, b = long * (0.9 + 0.25 * uniform(own, k, 3)), wide * (0.9 + 0.2 * uniform(own, k, 4))
        colour = (dark * (0.85 + 0.3 * uniform(own, k, 7)), 0.34, 0.0, 0.04, 0.25, 0.94)
        set_row(nuclei[n], (x, y, a, b, angle + 0.3 * (uniform(own, k, 5) - 0.5)), colour, mix(own, k, 6))
        numbers[n] = k + half + 1
        n += 1
        if uniform(own, k, 8) < share:
            x, y = unwarp(seed, side, wx - (0.55 * inward) * nx, wy - (0.55 * inward) * ny)
            set_row(goblets[g], (x, y, 10.0, 6.5, angle), (0.14, 0.05, 0.0, 0.05, 0.0, 0.85), mix(own, k, 9))
            g += 1
    return goblets[:g].copy(), nuclei[:n].copy(), numbers[:n].copy()


@compiled
def paint_surface(
    stains: npt.NDArray[np.float32],
    glands: npt.NDArray[np.int32],
    nuclei: npt.NDArray[np.int32],
    tissue: npt.NDArray[np.uint8],
    strip: npt.NDArray[np.int32],
    depth: npt.NDArray[np.float32],
    code: int,
    number: int,
    origin: Ints,
    scale: float,
    seed: int,
) -> None:
    """Lay the cytoplasm of a strip and its brush border over the canvas."""
    height, width = strip.shape
    memory = lattice_memory(1)
    for r in range(height):
        for c in range(width):
            if strip[r, c] != code:
                continue
            x, y = (origin[0] + c + 0.5) * scale, (origin[1] + r + 0.5) * scale
            cloud = smooth(memory[0], seed + 6, x / 8.0, y / 8.0)
            brush = 0.16 if depth[r, c] < 3.0 else 0.0
            stains[r, c, 0] = 0.26 * (1.0 + 0.25 * cloud) + 0.5 * brush
            stains[r, c, 1] = 0.46 * (1.0 + 0.18 * cloud) + brush
            stains[r, c, 2] = 0.0
            glands[r, c] = number
            nuclei[r, c] = 0
            tissue[r, c] = _NORMAL


def draw_surfaces(sites: Sites, strip: npt.NDArray[np.int32], look: Appearance) -> list[Surface]:
    """The strips whose codes occur in `strip`, with their cells."""
    corner = np.array([sites.i0, sites.j0])
    surfaces = []
    for code in sorted(set(np.unique(strip).tolist()) - {0}):
        place, neighbour = divmod(code - 1, 49)
        row, column = divmod(place, sites.table.shape[1])
        pair = np.array([row, column, row + neighbour // 7 - 3, column + neighbour % 7 - 3])
        own = mix(sites.seed + 80 + neighbour, sites.i0 + column, sites.j0 + row)
        size = look.nuclear_size
        form = np.array(
            [
                (9.6 + 2.0 * uniform(own, 0, 20)) * size,
                (7.6 + 2.0 * uniform(own, 1, 20)) * size,
                (4.0 + 0.8 * uniform(own, 2, 20)) * size,
                1.2 * look.contrast,
                0.25 * uniform(own, 3, 20),
            ]
        )
        bodies, nuclei, numbers = _strip_cells(sites.table, corner, pair, sites.seed, sites.side, own, form)
        number = _FIRST_NUMBER + _near_index(neighbour)
        surfaces.append(Surface(row, column, number, code, own, bodies, nuclei, numbers))
    return surfaces


def _near_index(neighbour: int) -> int:
    """Position in the 5 x 5 neighbourhood, of a position in the 7 x 7 one; glass is never farther."""
    return (neighbour // 7 - 1) * 5 + neighbour % 7 - 1
