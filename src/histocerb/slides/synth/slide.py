"""`SynthSlide`: a procedural H&E colon slide with exact truth, behind the `Slide` protocol."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import UsageError
from histocerb.core.geometry import Region
from histocerb.core.samples import ObjectLabels
from histocerb.core.tasks import CELL_PX, WORKING_MPP
from histocerb.slides.pixels import Rgb8
from histocerb.slides.pyramid import Level, PyramidSlide
from histocerb.slides.synth.block import BLOCK_PX, Block, Recipe, render_block
from histocerb.slides.synth.config import GLANDS, LUMINA, NUCLEI, TISSUES, SynthConfig, appearance
from histocerb.slides.synth.store import GlandStore, Numbering

VERSION = 1
"""Raised whenever the same seed gives other pixels."""


@dataclass(frozen=True)
class SynthTruth:
    """What is in a region.

    Attributes:
        objects: per task name of nuclei, glands and lumina, an id map of the region's size and the class of
            every id in it ({} for lumina, which have none). An id is unique in the slide and the same
            whatever region is asked for.
        tissue: rows x columns int64, index of the tissue class of every 144 px cell (72 um, aligned to the
            slide's origin) that lies wholly inside the region.
        tissue_map: H x W uint8, index of the tissue class per pixel; `tissue` is its majority.
    """

    objects: dict[str, ObjectLabels]
    tissue: npt.NDArray[np.int64]
    tissue_map: npt.NDArray[np.uint8]


class SynthSource:
    """Blocks of a synthetic slide as a `LevelSource` of one level, with a bounded cache."""

    def __init__(self, width_px: int, height_px: int, seed: int, mpp: float, config: SynthConfig) -> None:
        self.path = f"synth-{seed}-{width_px}x{height_px}"
        self.vendor = "histocerb-synth"
        self.origin_px = (0, 0)
        self.mpp_xy: tuple[float, float] | None = (mpp, mpp)
        self.levels: tuple[Level, ...] = (Level(width_px, height_px),)
        scale = mpp / WORKING_MPP
        numbering = _numbering(_whole_blocks(width_px) * scale, _whole_blocks(height_px) * scale, config)
        self.recipe = Recipe(seed, config, appearance(seed, config.clean), numbering, scale)
        self.close()

    def pixels(self, level: int, region: Region) -> Rgb8:
        """Pixels of a region; see `LevelSource`."""
        out = np.empty((region.height, region.width, 3), np.uint8)
        for place, block in self.blocks(region):
            part = place.intersect(region)
            out[part.slices(region)] = block.image[part.slices(place)]
        return out

    def blocks(self, region: Region) -> Iterator[tuple[Region, Block]]:
        """The blocks that meet a region."""
        for y in range(region.y // BLOCK_PX * BLOCK_PX, region.bottom, BLOCK_PX):
            for x in range(region.x // BLOCK_PX * BLOCK_PX, region.right, BLOCK_PX):
                yield Region(x, y, BLOCK_PX, BLOCK_PX), self._block(x, y)

    def fingerprint(self) -> str:
        """Hash of everything the pixels follow from."""
        level = self.levels[0]
        content = f"{VERSION} {level} {self.recipe}"
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def close(self) -> None:
        """Drop the cache."""
        self._cache: OrderedDict[tuple[int, int], Block] = OrderedDict()
        self._glands = GlandStore(self.recipe.scale, self.recipe.look, self.recipe.numbering)
        self._lock = threading.Lock()

    def _block(self, x: int, y: int) -> Block:
        with self._lock:
            if (x, y) not in self._cache:
                if len(self._cache) >= _blocks_kept(self.levels[0].width):
                    self._cache.popitem(last=False)
                self._cache[x, y] = render_block(self.recipe, self._glands, x, y)
            self._cache.move_to_end((x, y))
            return self._cache[x, y]

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_cache", "_glands", "_lock")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.close()


class SynthSlide:
    """A synthetic slide; see `histocerb.slides.reader.Slide`. Pixels follow from the arguments alone."""

    def __init__(
        self,
        width_px: int,
        height_px: int,
        seed: int,
        mpp: float = WORKING_MPP,
        config: SynthConfig | None = None,
    ) -> None:
        """Describe a slide; nothing is drawn yet.

        Args:
            width_px: level-0 pixels.
            height_px: level-0 pixels.
            seed: 0 or more; decides layout, stain and scanner.
            mpp: micrometres per pixel, 0.2 to 1.
            config: mixture of tissues.
        """
        _check(width_px, height_px, seed, mpp)
        self._source = SynthSource(width_px, height_px, seed, mpp, config or SynthConfig())
        self._pyramid = PyramidSlide(self._source, mpp)
        self.path = self._source.path
        self.vendor, self.origin_px = self._source.vendor, self._source.origin_px
        self.width_px = width_px
        self.height_px = height_px
        self.mpp = mpp

    def size_at(self, mpp: float) -> tuple[int, int]:
        """Width and height in pixels at `mpp`."""
        return self._pyramid.size_at(mpp)

    def read(self, region: Region, mpp: float) -> Rgb8:
        """H x W x 3 uint8 RGB of a region in pixels at `mpp`; white outside."""
        return self._pyramid.read(region, mpp)

    def thumbnail(self, max_side_px: int) -> Rgb8:
        """The whole slide, reduced; draws all of it."""
        return self._pyramid.thumbnail(max_side_px)

    def fingerprint(self) -> str:
        """Hash of everything the pixels follow from."""
        return self._source.fingerprint()

    def close(self) -> None:
        """Drop the cache."""
        self._source.close()

    def truth(self, region: Region) -> SynthTruth:
        """What is in a region of level-0 pixels; nothing (and glass) outside the slide."""
        shape = (region.height, region.width)
        maps = [np.zeros(shape, np.int32) for _ in range(3)]
        tissue = np.zeros(shape, np.uint8)
        kinds: dict[int, int] = {}
        surfaces: set[int] = set()
        inner = region.intersect(Region(0, 0, self.width_px, self.height_px))
        for place, block in self._source.blocks(inner) if not inner.is_empty else ():
            part = place.intersect(inner)
            for target, source in zip(maps, (block.nuclei, block.glands, block.lumina), strict=True):
                target[part.slices(region)] = source[part.slices(place)]
            tissue[part.slices(region)] = block.tissue[part.slices(place)]
            kinds.update(block.nucleus_classes)
            surfaces.update(block.surfaces)
        nuclei, glands, lumina = maps
        gland, surface = GLANDS.classes
        objects = {
            NUCLEI.name: ObjectLabels(nuclei, {k: NUCLEI.classes[kinds[k]] for k in _ids(nuclei)}),
            GLANDS.name: ObjectLabels(glands, {k: surface if k in surfaces else gland for k in _ids(glands)}),
            LUMINA.name: ObjectLabels(lumina),
        }
        return SynthTruth(objects, _cells(tissue, region, self.mpp), tissue)


def _ids(labels: npt.NDArray[np.int32]) -> list[int]:
    return [int(k) for k in np.unique(labels) if k]


def _cells(tissue: npt.NDArray[np.uint8], region: Region, mpp: float) -> npt.NDArray[np.int64]:
    """Majority class of each 144 px cell (at 0.5 um/px) that lies inside."""
    side = round(CELL_PX * WORKING_MPP / mpp)
    first_row, first_column = -(-region.y // side), -(-region.x // side)
    rows, columns = region.bottom // side - first_row, region.right // side - first_column
    out = np.zeros((max(0, rows), max(0, columns)), np.int64)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            y, x = (first_row + r) * side - region.y, (first_column + c) * side - region.x
            counts = np.bincount(tissue[y : y + side, x : x + side].ravel(), minlength=len(TISSUES))
            out[r, c] = int(counts.argmax())
    return out


def _blocks_kept(width_px: int) -> int:
    """A row of blocks of the slide, at least 8 and at most 32 (about 5 MB each)."""
    return min(32, max(8, -(-width_px // BLOCK_PX) + 2))


def _whole_blocks(side_px: int) -> int:
    """Side of the area that is drawn, in slide pixels."""
    return -(-side_px // BLOCK_PX) * BLOCK_PX


def _numbering(width: float, height: float, config: SynthConfig) -> Numbering:
    numbering = Numbering.of(width, height, config.site_px)
    if numbering.end >= 2**31:
        raise UsageError(
            f"expected a synthetic slide with fewer than 2**31 possible ids, found {width:.0f} x "
            f"{height:.0f} px of 0.5 um with site_px {config.site_px:.0f}; make it smaller or raise site_px"
        )
    return numbering


def _check(width_px: int, height_px: int, seed: int, mpp: float) -> None:
    if width_px < 1 or height_px < 1:
        raise UsageError(f"expected a slide of at least 1 x 1 px, found {width_px} x {height_px}; enlarge it")
    if not 0 <= seed < 2**48:
        raise UsageError(f"expected a seed from 0 to 2**48 - 1, found {seed}; choose such a number")
    if not 0.2 <= mpp <= 1.0:
        raise UsageError(f"expected 0.2 to 1 um/px for a synthetic slide, found {mpp}; choose such a value")
