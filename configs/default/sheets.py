"""Squares of solid epithelium, as in skin, squamous mucosa and solid tumours: the synthetic colon has none.

A square is synthetic stroma, inflammation or muscle on which a sheet of cells lies, or several. Nuclei are
labelled, those of the sheet as epithelial; glands and lumina are not, as nobody could say whether a solid
nest is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import WORKING_MPP
from histocerb.data.sources.entry import Entry
from histocerb.slides.synth import VERSION
from histocerb.slides.synth.block import BLOCK_PX, Canvas, Recipe, draw_canvas
from histocerb.slides.synth.cells import COLUMNS, set_row
from histocerb.slides.synth.config import NUCLEI, Cell, SynthConfig, Tissue, appearance
from histocerb.slides.synth.stain import scan
from histocerb.slides.synth.store import GlandStore, Numbering

NAME = "synth-sheets"
RECIPE = f"sheets 1, {VERSION}"
GROUND = {Tissue.STROMA: 0.5, Tissue.INFLAMED: 0.25, Tissue.MUSCLE: 0.25}
"""Tissues around sheets, and their shares."""

Floats = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Habit:
    """How the cells of a sheet look; lengths in px of 0.5 um.

    Attributes:
        spacing: between nuclei deep in the sheet; at its edge they lie closer.
        radius, slender: mean radius of nuclei, and the share by which they are longer than wide.
        varied: SD of the logarithm of their radius.
        haem, eosin: of the cytoplasm.
        dark, vesicle: density of the chromatin, and how empty nuclei are in the middle.
        seam: how pale (or, below 0, dark) the borders between cells are.
        halo: how pale the cytoplasm around nuclei is.
    """

    spacing: float
    radius: float
    slender: float
    varied: float
    haem: float
    eosin: float
    dark: float
    vesicle: float
    seam: float
    halo: float


def habit_of(rng: np.random.Generator) -> Habit:
    """Draw the look of a sheet: atypical ones are crowded, dark and uneven."""
    abnormal = rng.random() < 0.5
    radius = rng.uniform(5.0, 9.0) if abnormal else rng.uniform(5.0, 7.5)
    return Habit(
        spacing=radius * (rng.uniform(2.0, 2.9) if abnormal else rng.uniform(2.4, 4.2)),
        radius=radius,
        slender=rng.uniform(0.05, 0.6),
        varied=rng.uniform(0.16, 0.32) if abnormal else rng.uniform(0.05, 0.14),
        haem=rng.uniform(0.15, 0.6) if abnormal else rng.uniform(0.1, 0.45),
        eosin=rng.uniform(0.25, 0.6) if abnormal else rng.uniform(0.35, 0.85),
        dark=rng.uniform(0.9, 1.6) if abnormal else rng.uniform(0.75, 1.35),
        vesicle=rng.uniform(0.1, 0.9),
        seam=rng.uniform(-0.25, 0.5),
        halo=max(0.0, rng.uniform(-0.5, 0.6)),
    )


def squares(n: int, seed: int) -> list[Entry]:
    """`n` squares of 512 px with their nuclei; number i has the seed `seed + i`."""
    return [
        Entry(_name(seed + i), (), partial(_square, seed + i), recipe=f"{RECIPE} {seed + i}")
        for i in range(n)
    ]


def draw(seed: int) -> tuple[npt.NDArray[np.uint8], ObjectLabels, Bool]:
    """Image, nuclei, and where the sheet is."""
    rng = np.random.default_rng([seed, 11])
    weights = tuple(GROUND[tissue] * rng.exponential() if tissue in GROUND else 0.0 for tissue in Tissue)
    config = SynthConfig(weights)
    look = appearance(seed, config.clean)
    numbering = Numbering.of(BLOCK_PX, BLOCK_PX, config.site_px)
    recipe = Recipe(seed, config, look, numbering, 1.0)
    canvas = draw_canvas(recipe, GlandStore(1.0, look, numbering), 0, 0)
    habit = habit_of(rng)
    depth = _depth(rng, canvas.nuclei.shape)
    _draw_sheet(canvas, rng, depth, habit, look.nuclear_size)
    margin = recipe.margin_px
    image = scan(canvas.stains, look, seed, (-margin, -margin), 1.0, margin)
    inner = (slice(margin, margin + BLOCK_PX),) * 2
    return image, _labels(canvas, inner), depth[inner] > 0


def _depth(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Distance below the edge of the sheet, 0 outside; in a third of the squares it fills all."""
    field = _noise(rng, shape, 55.0) + 0.25 * _noise(rng, shape, 12.0)
    covered = field > (-9.0 if rng.random() < 0.33 else rng.uniform(-0.8, 0.5))
    padded = np.pad(covered.astype(np.uint8), 1, mode="edge")
    if covered.all():
        return np.full(shape, 1e3)
    return cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1].astype(np.float64)


def _noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Floats:
    """Smooth noise of mean about 0 and SD 1."""
    field = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), sigma)
    return np.asarray(field / field.std())


def _draw_sheet(canvas: Canvas, rng: np.random.Generator, depth: Floats, habit: Habit, size: float) -> None:
    """Cytoplasm over all that lies there, then nuclei and, around them, halos."""
    places = _places(rng, depth, habit, size)
    canvas.nuclei[depth > 0] = 0
    canvas.stains[depth > 0] = _cytoplasm(rng, depth.shape, places, habit)[depth > 0]
    nuclei, halos = np.empty((len(places), COLUMNS)), np.empty((len(places), COLUMNS))
    grain = np.arctan2(_noise(rng, depth.shape, 60.0), _noise(rng, depth.shape, 60.0))
    for k, (x, y) in enumerate(places):
        edge = depth[int(y), int(x)] < habit.spacing
        radius = habit.radius * size * np.exp(habit.varied * rng.standard_normal()) * (0.85 if edge else 1.0)
        long = radius * (1.0 + habit.slender * rng.random())
        wide, angle = radius**2 / long, grain[int(y), int(x)] + rng.normal(0.0, 0.4)
        dark = habit.dark * rng.uniform(0.85, 1.15) * (1.15 if edge else 1.0)
        at = (x + canvas.origin[0], y + canvas.origin[1])
        colour = (dark, 0.3, 0.0, rng.uniform(0.03, 0.08), habit.vesicle * rng.uniform(0.5, 1.0), 0.95)
        set_row(nuclei[k], (*at, long, wide, angle), colour, int(rng.integers(2**40)))
        pale = (0.3 * habit.haem, 0.3 * habit.eosin, 0.0, 0.08, 0.0, habit.halo)
        set_row(halos[k], (*at, 1.6 * long, 1.6 * wide, angle), pale, k)
    ids = max(canvas.classes, default=0) + 1 + np.arange(len(nuclei), dtype=np.int32)
    canvas.cells(halos, nuclei, ids, np.full(len(nuclei), int(Cell.EPITHELIAL), np.int32))


def _places(rng: np.random.Generator, depth: Floats, habit: Habit, size: float) -> Floats:
    """Centres (x, y) of nuclei, about their spacing apart; closer at the edge, nowhere on each other."""
    rows, columns = np.nonzero(depth > 0.9 * habit.radius)
    order = rng.permutation(len(rows))[:40_000]
    taken = np.zeros(depth.shape, np.uint8)
    places = []
    for k in order:
        y, x = int(rows[k]), int(columns[k])
        if taken[y, x]:
            continue
        places.append((x + 0.5, y + 0.5))
        near = depth[y, x] < 1.5 * habit.spacing
        reach = max(0.75 * habit.spacing * (0.67 if near else 1.0), 1.4 * habit.radius)
        cv2.circle(taken, (x, y), round(reach * size * rng.uniform(0.9, 1.15)), 1, -1)
    return np.array(places).reshape(-1, 2)


def _cytoplasm(
    rng: np.random.Generator, shape: tuple[int, int], places: Floats, habit: Habit
) -> npt.NDArray[np.float32]:
    """Concentrations H x W x 3: every cell a little different, with pale or dark borders between them."""
    seeds = np.ones(shape, np.uint8)
    seeds[places[:, 1].astype(int), places[:, 0].astype(int)] = 0
    _, cell = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    border = cv2.morphologyEx(cell.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    line = cv2.GaussianBlur(border.astype(np.float64), (0, 0), 0.8)
    own = rng.normal(1.0, 0.1, (int(cell.max()) + 1, 2))[cell]
    out = np.zeros((*shape, 3), np.float32)
    for k, mean in enumerate((habit.haem, habit.eosin)):
        uneven = 1.0 + 0.12 * _noise(rng, shape, 30.0) + 0.08 * _noise(rng, shape, 1.5)
        out[..., k] = mean * np.clip(own[..., k] * uneven * (1.0 - habit.seam * line), 0.02, None)
    return out


def _labels(canvas: Canvas, inner: tuple[slice, slice]) -> ObjectLabels:
    """Nuclei within the margin, numbered from 1."""
    old, new = np.unique(np.append(0, canvas.nuclei[inner]), return_inverse=True)
    ids = new[1:].reshape(canvas.nuclei[inner].shape).astype(np.int32)
    names = [NUCLEI.classes[canvas.classes[int(number)]] for number in old[1:]]
    return ObjectLabels(ids, dict(enumerate(names, start=1)))


def _square(seed: int) -> Sample:
    image, nuclei, _ = draw(seed)
    return Sample(
        image, WORKING_MPP, {NUCLEI.name: nuclei}, source=NAME, patient=f"{NAME}-{seed}", name=_name(seed)
    )


def _name(seed: int) -> str:
    return f"sheet-{seed:06d}"
