"""One block of a synthetic slide: tissue, cells, glands and surface, as pixels and truth.

Slides are made in blocks of a fixed grid, so that blur and JPEG do not depend on the cut; everything in a
block is a function of (seed, absolute position), so that nothing changes at the seams.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from histocerb.slides.pixels import Rgb8
from histocerb.slides.synth.cells import paint
from histocerb.slides.synth.config import Appearance, Cell, SynthConfig, Tissue
from histocerb.slides.synth.fields import field_cells
from histocerb.slides.synth.gland_paint import paint_gland
from histocerb.slides.synth.glands import PER_SITE, VERTICES
from histocerb.slides.synth.interior import MAX_LUMINA, MAX_NUCLEI, PAD_PX, Gland
from histocerb.slides.synth.layout import Sites, rasterise, sites_around
from histocerb.slides.synth.stain import scan
from histocerb.slides.synth.store import Box, GlandStore, Numbering
from histocerb.slides.synth.surface import draw_surfaces, paint_surface
from histocerb.slides.synth.texture import base
from histocerb.slides.synth.vessels import REACH_PX, vessels_near

BLOCK_PX = 512
MARGIN_PX = 28

Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Block:
    """Pixels and truth of one block, all BLOCK_PX x BLOCK_PX.

    Attributes:
        image: RGB.
        nuclei, glands, lumina: id maps.
        tissue: tissue class per pixel.
        nucleus_classes: per id in `nuclei`, index of its class.
        surfaces: ids in `glands` that are surface epithelium.
    """

    image: Rgb8
    nuclei: Int32s
    glands: Int32s
    lumina: Int32s
    tissue: npt.NDArray[np.uint8]
    nucleus_classes: dict[int, int]
    surfaces: frozenset[int]


@dataclass(frozen=True)
class Recipe:
    """All that a slide follows from.

    Attributes:
        seed: of the slide.
        config: mixture of tissues.
        look: stain and scanner.
        numbering: of objects.
        scale: world pixels (0.5 um) per slide pixel.
    """

    seed: int
    config: SynthConfig
    look: Appearance
    numbering: Numbering
    scale: float

    @property
    def margin_px(self) -> int:
        """Slide pixels around a block that are drawn and cut off, for blur."""
        return int(np.ceil(MARGIN_PX / min(1.0, self.scale)))


@dataclass
class Canvas:
    """The arrays that a block is drawn on, with its margin.

    Attributes:
        stains: H x W x 3 concentrations.
        nuclei, glands, lumina: id maps.
        tissue: tissue class per pixel.
        origin: slide pixel of the corner.
        scale: world pixels per slide pixel.
        classes: class of each nucleus drawn so far.
        surfaces: ids of surface epithelium drawn so far.
    """

    stains: npt.NDArray[np.float32]
    nuclei: Int32s
    glands: Int32s
    lumina: Int32s
    tissue: npt.NDArray[np.uint8]
    origin: npt.NDArray[np.int64]
    scale: float
    classes: dict[int, int] = field(default_factory=dict)
    surfaces: set[int] = field(default_factory=set)

    def cells(
        self, bodies: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], ids: Int32s, kinds: Int32s
    ) -> None:
        """Draw cell bodies, then nuclei."""
        nothing = np.zeros(len(bodies), np.int32)
        paint(bodies, nothing, self.stains, self.nuclei, self.origin, self.scale)
        paint(rows, ids, self.stains, self.nuclei, self.origin, self.scale)
        self.classes.update(zip(ids.tolist(), kinds.tolist(), strict=True))


def _draw_gland_on(canvas: Canvas, gland: Gland, number: int, numbering: Numbering) -> None:
    habit, shape = gland.habit, gland.shape
    tissue = Tissue.ABNORMAL if shape.abnormal else Tissue.NORMAL
    paint_gland(
        canvas.stains,
        canvas.glands,
        canvas.lumina,
        canvas.nuclei,
        canvas.tissue,
        gland.depth,
        gland.lumen,
        np.array([canvas.origin[0], canvas.origin[1], gland.x, gland.y]),
        np.array([number, number * MAX_LUMINA, int(tissue)]),
        np.array([habit.haem, habit.eosin, habit.cleft, habit.content, habit.goblets, canvas.scale]),
        shape.seed,
    )
    first = numbering.first_in_glands + number * MAX_NUCLEI
    canvas.cells(gland.bodies, gland.nuclei, gland.numbers + np.int32(first), gland.classes)


def draw_canvas(recipe: Recipe, store: GlandStore, x: int, y: int) -> Canvas:
    """Draw the block whose upper left slide pixel is (x, y), with its margin, up to the stains."""
    scale, margin = recipe.scale, recipe.margin_px
    origin = np.array([x - margin, y - margin])
    side = BLOCK_PX + 2 * margin
    (x0, y0), (x1, y1) = (origin * scale).tolist(), ((origin + side) * scale).tolist()
    box = (x0, y0, x1, y1)
    sites = sites_around(recipe.seed, recipe.config, *box)
    corner, size = np.array([sites.i0, sites.j0]), np.array([side, side])
    kind, angle, depth, strip = rasterise(recipe.seed, sites.side, sites.table, corner, origin, size, scale)
    nuclei, glands, lumina = (np.zeros((side, side), np.int32) for _ in range(3))
    stains = base(recipe.seed, kind, angle, depth, origin, scale)
    canvas = Canvas(stains, nuclei, glands, lumina, _without_glands(kind), origin, scale)
    _draw_outside_glands(canvas, recipe, sites, store, box)
    for gland in store.near(sites, box, PAD_PX):
        _draw_gland_on(canvas, store.drawn(gland), gland.number, recipe.numbering)
    _draw_surfaces_on(canvas, recipe, sites, strip, depth)
    return canvas


def render_block(recipe: Recipe, store: GlandStore, x: int, y: int) -> Block:
    """Make the block whose upper left slide pixel is (x, y)."""
    canvas = draw_canvas(recipe, store, x, y)
    margin = recipe.margin_px
    corner = (x - margin, y - margin)
    image = scan(canvas.stains, recipe.look, recipe.seed, corner, recipe.scale, margin)
    inner = slice(margin, margin + BLOCK_PX)
    return Block(
        image,
        canvas.nuclei[inner, inner].copy(),
        canvas.glands[inner, inner].copy(),
        canvas.lumina[inner, inner].copy(),
        canvas.tissue[inner, inner].copy(),
        canvas.classes,
        frozenset(canvas.surfaces),
    )


def _draw_outside_glands(canvas: Canvas, recipe: Recipe, sites: Sites, store: GlandStore, box: Box) -> None:
    """Vessels, then single cells beside them."""
    numbering = recipe.numbering
    near = store.near(sites, box, 2.0 * REACH_PX)
    glands = np.array([gland.shape.outline for gland in near]).reshape(-1, VERTICES, 2)
    vessels = vessels_near(sites, box, glands)
    for vessel in vessels:
        count = len(vessel.nuclei)
        ids = numbering.vessel(vessel.i, vessel.j) + np.arange(1, count + 1)
        kinds = np.full(count, int(Cell.CONNECTIVE), np.int32)
        canvas.cells(vessel.bodies, vessel.nuclei, ids.astype(np.int32), kinds)
    taken = np.concatenate([glands, *(vessel.outline[None] for vessel in vessels)])
    canvas.cells(*field_cells(sites, box, taken, recipe.look.nuclear_size, numbering.cell_pitch))


def _without_glands(kind: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Tissue map before glands are drawn: what lies between glands is stroma."""
    between = (kind == int(Tissue.NORMAL)) | (kind == int(Tissue.ABNORMAL))
    return np.where(between, np.uint8(Tissue.STROMA), kind)


def _draw_surfaces_on(
    canvas: Canvas, recipe: Recipe, sites: Sites, strip: Int32s, depth: npt.NDArray[np.float32]
) -> None:
    numbering = recipe.numbering
    for surface in draw_surfaces(sites, strip, recipe.look):
        site = numbering.site(sites.i0 + surface.column, sites.j0 + surface.row)
        number = site * PER_SITE + surface.number + 1
        canvas.surfaces.add(number)
        paint_surface(
            canvas.stains, canvas.glands, canvas.nuclei, canvas.tissue, strip, depth, surface.code,
            number, canvas.origin, canvas.scale, surface.seed,
        )  # fmt: skip
        first = numbering.first_in_glands + number * MAX_NUCLEI
        kinds = np.full(len(surface.nuclei), int(Cell.EPITHELIAL), np.int32)
        canvas.cells(surface.bodies, surface.nuclei, surface.numbers + np.int32(first), kinds)
