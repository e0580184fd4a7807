"""One gland, drawn whole on a canvas of its own: epithelium, lumen, goblet cells, nuclei.

Drawing whole glands keeps everything that needs global knowledge of a gland (depth below its border,
separate lumina) exact and the same for every region that touches it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.cells import COLUMNS, MAX_ROWS, draw_cell
from histocerb.slides.synth.config import Cell
from histocerb.slides.synth.glands import GlandShape, fill
from histocerb.slides.synth.habit import Habit, habit_of, tallness
from histocerb.slides.synth.lining import border_points, epithelial_nuclei, goblet_cells
from histocerb.slides.synth.noise import Floats, compiled, lattice_memory, mix, smooth, uniform

PAD_PX = 24.0
"""World pixels around the outline that belong to the canvas (for the cleft around a gland)."""
MAX_LUMINA = 32
MAX_NUCLEI = 1024
"""Numbers kept for the nuclei of one gland."""

Float32s = npt.NDArray[np.float32]
Int32s = npt.NDArray[np.int32]
_NEUTROPHIL = int(Cell.NEUTROPHIL)


@dataclass(frozen=True)
class Gland:
    """A drawn gland; arrays cover its canvas at the slide's resolution.

    Attributes:
        shape: what was drawn.
        x, y: slide pixel of the canvas' corner.
        depth: world pixels below the border; negative outside.
        lumen: 0 for none, else the number of the lumen from 1.
        habit: how it looks.
        bodies: rows of goblet cells and cells in the lumen.
        nuclei: rows; `numbers` (from 1) and `classes` per row.
    """

    shape: GlandShape
    x: int
    y: int
    depth: Float32s
    lumen: Int32s
    habit: Habit
    bodies: Floats
    nuclei: Floats
    numbers: Int32s
    classes: Int32s


@compiled
def _lumen_field(
    depth: Float32s, seed: int, x: int, y: int, scale: float, height: float, holes: Floats
) -> npt.NDArray[np.uint8]:
    """1 where the lumen is: below the epithelium of uneven height, or in one of the holes (x, y, radius)."""
    out = np.zeros(depth.shape, np.uint8)
    memory = lattice_memory(2)
    for r in range(depth.shape[0]):
        for c in range(depth.shape[1]):
            if depth[r, c] <= 6.0:
                continue
            wx, wy = (x + c + 0.5) * scale, (y + r + 0.5) * scale
            uneven = 6.0 * smooth(memory[0], seed + 1, wx / 26.0, wy / 26.0)
            uneven += 2.5 * smooth(memory[1], seed + 2, wx / 9.0, wy / 9.0)
            if depth[r, c] + uneven > height:
                out[r, c] = 1
            for h in range(len(holes)):
                away = np.hypot(wx - holes[h, 0], wy - holes[h, 1])
                if away < holes[h, 2] + 0.6 * uneven and depth[r, c] > 16.0:
                    out[r, c] = 1
    return out


def _holes(shape: GlandShape, depth: Float32s, corner: tuple[int, int], scale: float) -> Floats:
    """Extra lumina of a cribriform gland: rows of x, y, radius in world pixels."""
    rows, columns = np.nonzero(depth > 26.0)
    count = min(2 + int(uniform(shape.seed, 1, 5) * 6.0), len(rows))
    chosen = [int(uniform(shape.seed, k, 6) * len(rows)) for k in range(count)]
    radii = [9.0 + 13.0 * uniform(shape.seed, k, 7) for k in range(count)]
    holes = [
        ((corner[0] + columns[k]) * scale, (corner[1] + rows[k]) * scale, radius)
        for k, radius in zip(chosen, radii, strict=True)
    ]
    return np.array(holes).reshape(-1, 3)


def _lumina(
    shape: GlandShape, habit: Habit, depth: Float32s, corner: tuple[int, int], scale: float
) -> Int32s:
    deepest = float(depth.max())
    height = tallness(habit, deepest)
    holes = np.empty((0, 3))
    if uniform(shape.seed, 2, 5) < habit.holes:
        holes, height = _holes(shape, depth, corner, scale), max(height, 0.8 * deepest)
    if uniform(shape.seed, 3, 5) < habit.solid:
        height = 1e6
    field = _lumen_field(depth, shape.seed, corner[0], corner[1], scale, height, holes)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(field, connectivity=4)
    keep = np.zeros(count, np.int32)
    large = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] * scale * scale >= 160.0]
    for number, k in enumerate(large[: MAX_LUMINA - 1], start=1):
        keep[k] = number
    numbers: Int32s = keep[labels]
    return numbers


def _floating_cells(
    shape: GlandShape, habit: Habit, lumen: Int32s, corner: tuple[int, int], scale: float, size: float
) -> tuple[Floats, Floats, Int32s]:
    """Neutrophils in a lumen with debris: bodies, nuclei, and the cell (from 0) of each nucleus row."""
    rows, columns = np.nonzero(lumen)
    bodies, nuclei = np.empty((40 * MAX_ROWS, COLUMNS)), np.empty((40 * MAX_ROWS, COLUMNS))
    owner = np.zeros(40 * MAX_ROWS, np.int32)
    count = min(20, int(len(rows) * scale * scale / 900.0)) if habit.content == 2 else 0
    nb, nn = 0, 0
    for cell in range(count):
        k = int(uniform(shape.seed, cell, 8) * len(rows))
        x, y = (corner[0] + columns[k] + 0.5) * scale, (corner[1] + rows[k] + 0.5) * scale
        own, angle = mix(shape.seed, cell, 9), 6.2832 * uniform(shape.seed, cell, 10)
        more_b, more_n = draw_cell(_NEUTROPHIL, x, y, angle, own, size, bodies[nb:], nuclei[nn:])
        owner[nn : nn + more_n] = cell
        nb, nn = nb + more_b, nn + more_n
    return bodies[:nb], nuclei[:nn], owner[:nn]


def draw_gland(shape: GlandShape, scale: float, size: float, contrast: float) -> Gland:
    """Draw a gland whole.

    Args:
        shape: its outline and seeds.
        scale: world pixels (0.5 um) per slide pixel.
        size: factor on nuclear diameters.
        contrast: factor on the chromatin's density.
    """
    x0, y0, x1, y1 = shape.box
    x, y = int(np.floor((x0 - PAD_PX) / scale)), int(np.floor((y0 - PAD_PX) / scale))
    width, height = int(np.ceil((x1 + PAD_PX) / scale)) - x, int(np.ceil((y1 + PAD_PX) / scale)) - y
    mask = np.zeros((height, width), np.uint8)
    fill(mask, shape.outline, x * scale, y * scale, scale)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    depth = (np.where(mask > 0, inside - 0.5, 0.5 - outside) * scale).astype(np.float32)
    habit = habit_of(shape.site_seed, shape.abnormal)
    lumen = _lumina(shape, habit, depth, (x, y), scale)
    place = np.array([x, y, scale], dtype=np.float64)
    hollow = lumen.astype(np.float32)
    tall = tallness(habit, float(depth.max()))
    border = border_points(shape.outline, habit.spacing * size)
    goblets = goblet_cells(border, depth, hollow, place, tall, habit.goblets, shape.seed)
    many = lumen.max() > 1 or not lumen.any()
    rows = 12 if many and (shape.abnormal or not lumen.any()) else habit.rows
    loose = 1.0 if rows > 1 else 0.2
    form = np.array(
        [
            rows,
            habit.long * size,
            habit.wide * size,
            1e6 if many else tall,
            habit.dark * contrast,
            habit.vesicle,
            loose,
        ]
    )
    nuclei = epithelial_nuclei(border, depth, hollow, place, form, shape.seed + 1)
    floating, lobes, owner = _floating_cells(shape, habit, lumen, (x, y), scale, size)
    n = len(nuclei)
    return Gland(
        shape=shape,
        x=x,
        y=y,
        depth=depth,
        lumen=lumen,
        habit=habit,
        bodies=np.concatenate([goblets, floating]),
        nuclei=np.concatenate([nuclei, lobes]),
        numbers=np.concatenate([np.arange(1, n + 1, dtype=np.int32), owner + np.int32(n + 1)]),
        classes=np.concatenate(
            [np.full(n, int(Cell.EPITHELIAL), np.int32), np.full(len(lobes), _NEUTROPHIL, np.int32)]
        ),
    )
