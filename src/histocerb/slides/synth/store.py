"""Ids of objects, and the glands that were drawn already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histocerb.slides.synth import fields, vessels
from histocerb.slides.synth.config import Appearance, Tissue
from histocerb.slides.synth.glands import PER_SITE, GlandShape, shapes_of_site
from histocerb.slides.synth.interior import MAX_NUCLEI, Gland, draw_gland
from histocerb.slides.synth.layout import Sites

Box = tuple[float, float, float, float]
_SITES_KEPT = 100
_GLANDS_KEPT = 160


@dataclass(frozen=True)
class Numbering:
    """Where the ids of a slide begin: a function of its size.

    Nuclei: cells outside glands by grid cell, then those of vessels, then those of glands.

    Attributes:
        cell_pitch: grid cells per row for cells outside glands.
        vessel_pitch: grid cells per row for vessels.
        site_pitch: sites per row.
        first_in_vessels: ids of nuclei in vessels are above this.
        first_in_glands: ids of nuclei in glands are above this.
        end: no id reaches this.
    """

    cell_pitch: int
    vessel_pitch: int
    site_pitch: int
    first_in_vessels: int
    first_in_glands: int
    end: int

    @classmethod
    def of(cls, width: float, height: float, site_px: float) -> Numbering:
        """Numbers for a slide of that size in world pixels; what lies just outside is counted too."""
        cells, cell_rows = (
            int(np.ceil(side / fields.GRID_PX)) + 2 * fields.SPARE for side in (width, height)
        )
        tubes, tube_rows = (int(np.ceil(side / vessels.GRID_PX)) + 4 for side in (width, height))
        sites, site_rows = (int(np.ceil(side / site_px)) + 9 for side in (width, height))
        in_vessels = cells * cell_rows
        in_glands = in_vessels + tubes * tube_rows * vessels.MAX_NUCLEI
        end = in_glands + sites * site_rows * PER_SITE * MAX_NUCLEI
        return cls(cells, tubes, sites, in_vessels, in_glands, end)

    def site(self, i: int, j: int) -> int:
        """Number of a site by its grid cell."""
        return (j + 4) * self.site_pitch + i + 4

    def vessel(self, i: int, j: int) -> int:
        """Id below the first nucleus of a vessel, by its grid cell."""
        return self.first_in_vessels + ((j + 2) * self.vessel_pitch + i + 2) * vessels.MAX_NUCLEI


@dataclass(frozen=True)
class NearGland:
    """A gland near a block: its id, the place of its site in the table, its outline."""

    number: int
    row: int
    column: int
    shape: GlandShape


class GlandStore:
    """Outlines and drawings of the glands visited last; bounded caches."""

    def __init__(self, scale: float, look: Appearance, numbering: Numbering) -> None:
        self._scale = scale
        self._look = look
        self._numbering = numbering
        self._shapes: dict[tuple[int, int], list[GlandShape]] = {}
        self._drawn: dict[int, Gland] = {}

    def near(self, sites: Sites, box: Box, reach: float) -> list[NearGland]:
        """Glands whose bounding box comes within `reach` of a world rectangle, in order of their ids."""
        x0, y0, x1, y1 = box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach
        found = []
        for row, column in _sites_with_glands(sites, (x0, y0, x1, y1)):
            first = self._numbering.site(sites.i0 + column, sites.j0 + row) * PER_SITE + 1
            for shape in self._shapes_of(sites, row, column):
                left, top, right, bottom = shape.box
                if left < x1 and right > x0 and top < y1 and bottom > y0:
                    found.append(NearGland(first + shape.number, row, column, shape))
        return sorted(found, key=lambda gland: gland.number)

    def drawn(self, gland: NearGland) -> Gland:
        """A gland, drawn when first needed."""
        if gland.number not in self._drawn:
            if len(self._drawn) >= _GLANDS_KEPT:
                del self._drawn[next(iter(self._drawn))]
            look = self._look
            self._drawn[gland.number] = draw_gland(gland.shape, self._scale, look.nuclear_size, look.contrast)
        return self._drawn[gland.number]

    def _shapes_of(self, sites: Sites, row: int, column: int) -> list[GlandShape]:
        key = (sites.i0 + column, sites.j0 + row)
        if key not in self._shapes:
            if len(self._shapes) >= _SITES_KEPT:
                del self._shapes[next(iter(self._shapes))]
            self._shapes[key] = shapes_of_site(sites, row, column)
        return self._shapes[key]


def _sites_with_glands(sites: Sites, box: Box) -> list[tuple[int, int]]:
    """Rows and columns of the sites that hold glands and whose cell can reach the world rectangle."""
    x, y, tissue = sites.table[..., 0], sites.table[..., 1], sites.table[..., 2]
    reach = 1.4 * sites.side
    near = (x > box[0] - reach) & (x < box[2] + reach) & (y > box[1] - reach) & (y < box[3] + reach)
    glandular = (tissue == int(Tissue.NORMAL)) | (tissue == int(Tissue.ABNORMAL))
    return [(int(row), int(column)) for row, column in np.argwhere(near & glandular)]
