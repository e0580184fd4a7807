"""Peak memory of `segment` on slides of growing height, without a network.

Run as `python -m benchmarks.bench_memory [HEIGHT ...]`. The slide is 30,000 px wide, all of it tissue, with
about 2,000 nuclei per million pixels, glands and lumina, and is made as it is read. Every height runs in a
process of its own. It must stay below 3 GB and not grow with the height.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.stand_in import StandInPredictor
from histocerb.core.geometry import Region
from histocerb.core.memory import peak_memory_mb
from histocerb.core.tasks import CERBERUS, WORKING_MPP
from histocerb.inference.manifest import RunningModel
from histocerb.inference.slide import segment_slide

WIDTH_PX = 30_000
HEIGHTS_PX = (7_500, 15_000, 30_000)
PATTERN_PX = 2_000
"""Period of the slide; no multiple of a window, so that seams cut it everywhere."""
SPACING_PX = 22
GLAND_PX = 400
_INSIDE, _CONTOUR = 50, 135
"""Values that the stand-in takes for the inside and the contour of an object."""

Image = npt.NDArray[np.uint8]


def pattern(seed: int = 0) -> Image:
    """One period: nuclei in red, glands in green, lumina in blue; nothing crosses its border."""
    rng = np.random.default_rng(seed)
    image = np.full((3, PATTERN_PX, PATTERN_PX), 225, np.uint8)
    for y in range(SPACING_PX // 2, PATTERN_PX - SPACING_PX // 2, SPACING_PX):
        for x in range(SPACING_PX // 2, PATTERN_PX - SPACING_PX // 2, SPACING_PX):
            axes = tuple(int(axis) for axis in rng.integers(5, 9, 2))
            _ellipse(image[0], (x, y), axes, float(rng.uniform(0, 180)))
    for y in range(GLAND_PX // 2, PATTERN_PX, GLAND_PX):
        for x in range(GLAND_PX // 2, PATTERN_PX, GLAND_PX):
            _ellipse(image[1], (x, y), (170, 140), float(rng.uniform(0, 180)), rim_px=8)
            _ellipse(image[2], (x, y), (60, 40), float(rng.uniform(0, 180)), rim_px=4)
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def _ellipse(
    plane: Image, centre: tuple[int, int], axes: tuple[int, ...], angle: float, rim_px: int = 2
) -> None:
    cv2.ellipse(plane, centre, axes, angle, 0, 360, _INSIDE, -1)
    cv2.ellipse(plane, centre, axes, angle, 0, 360, _CONTOUR, rim_px)


class PatternSlide:
    """A slide at the working resolution that repeats one pattern."""

    path = "pattern"
    vendor = "pattern"
    mpp = WORKING_MPP
    origin_px = (0, 0)

    def __init__(self, width_px: int, height_px: int) -> None:
        self.width_px, self.height_px = width_px, height_px
        self._pattern = np.tile(pattern(), (2, 2, 1))

    def size_at(self, mpp: float) -> tuple[int, int]:
        """Width and height in pixels at `mpp`."""
        return round(self.width_px * self.mpp / mpp), round(self.height_px * self.mpp / mpp)

    def read(self, region: Region, mpp: float) -> Image:
        """Pixels of a region; every n-th one at lower resolutions."""
        x, y = region.x % PATTERN_PX, region.y % PATTERN_PX
        if mpp == self.mpp and x + region.width <= 2 * PATTERN_PX and y + region.height <= 2 * PATTERN_PX:
            return self._pattern[y : y + region.height, x : x + region.width].copy()
        step = mpp / self.mpp
        rows = (np.arange(region.y, region.bottom) * step).astype(np.int64) % PATTERN_PX
        columns = (np.arange(region.x, region.right) * step).astype(np.int64) % PATTERN_PX
        return self._pattern[rows][:, columns]

    def thumbnail(self, max_side_px: int) -> Image:
        """The whole slide."""
        mpp = self.mpp * max(1.0, max(self.width_px, self.height_px) / max_side_px)
        return self.read(Region(0, 0, *self.size_at(mpp)), mpp)

    def fingerprint(self) -> str:
        """What the slide depends on."""
        return f"pattern-{self.width_px}-{self.height_px}"

    def close(self) -> None:
        """Nothing is open."""


def measure(width_px: int, height_px: int) -> None:
    """Segment one slide in this process and print what it took."""
    model = RunningModel("stand-in", "0" * 64, CERBERUS, StandInPredictor(CERBERUS))
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        result = segment_slide(PatternSlide(width_px, height_px), model, Path(place) / "slide")
        spent = time.perf_counter() - start
        counts = {kind: sum(of_kind.values()) for kind, of_kind in result.manifest.counts.items()}
        megapixels = width_px * height_px / 1e6
        print(
            f"{width_px:>7,} x {height_px:>7,} px  {peak_memory_mb():7,.0f} MB  {spent:7.1f} s  "
            f"{megapixels / spent:5.2f} Mpx/s  {counts}  {result.manifest.seconds}",
            flush=True,
        )


def main(arguments: list[str]) -> None:
    """`WIDTHxHEIGHT` measures in this process; heights (or nothing) start one process each."""
    if arguments and "x" in arguments[0]:
        width, height = arguments[0].split("x")
        measure(int(width), int(height))
        return
    for height_px in [int(argument) for argument in arguments] or HEIGHTS_PX:
        command = [sys.executable, "-m", "benchmarks.bench_memory", f"{WIDTH_PX}x{height_px}"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
