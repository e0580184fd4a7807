"""Time of post-processing per nucleus, outlines included, on maps of growing size.

Run as `python -m benchmarks.bench_postproc [SIDE ...]`. One core; the first, compiling run is not counted.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import numpy.typing as npt

from histocerb.core.tasks import CERBERUS, Grouping, Head, HeadKind, Task, TaskSpec
from histocerb.postproc import postprocess

BLOCK_PX = 1000
SPACING_PX = 22.3
SIDES_PX = (1000, 2000, 4000, 8000)


def nuclei_spec() -> TaskSpec:
    """The nuclei of the paper alone."""
    found = [t for t in CERBERUS.objects if t.postproc and t.postproc.grouping is Grouping.WATERSHED]
    return TaskSpec("nuclei", tuple(found))


def block(seed: int, channels: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Bytes of an instance head and a class map with some 2000 soft discs per Mpx, some in contact."""
    rng = np.random.default_rng(seed)
    signed = np.full((BLOCK_PX, BLOCK_PX), -99.0, np.float32)
    types = np.zeros((BLOCK_PX, BLOCK_PX), np.uint8)
    cells = np.indices((int(BLOCK_PX / SPACING_PX),) * 2).reshape(2, -1).T
    y, x = np.indices((31, 31)) - 15
    for centre in (cells + 0.5) * SPACING_PX + rng.normal(0, 3, cells.shape):
        row, column = np.clip(centre.astype(int), 16, BLOCK_PX - 17)
        angle, long, short = rng.uniform(0, np.pi), rng.uniform(6, 11), rng.uniform(5, 8)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        depth = (1 - np.hypot(u / long, v / short)) * short
        window = np.s_[row - 15 : row + 16, column - 15 : column + 16]
        types[window] = np.where(depth > signed[window], rng.integers(1, channels), types[window])
        signed[window] = np.maximum(signed[window], depth)
    inside = 1 / (1 + np.exp(-2.5 * (signed - 1) - rng.normal(0, 0.3, signed.shape)))
    contour = (1 - inside) * np.exp(-((signed / 1.3) ** 2))
    probs = np.stack([1 - inside - contour, inside, contour], axis=-1)
    return np.rint(probs.clip(0, 1) * 255).astype(np.uint8), types


def head_maps(side_px: int, task: Task) -> dict[str, npt.NDArray[np.uint8]]:
    """Maps of a square image, the block repeated."""
    heads: list[Head | None] = [task.head(HeadKind.INSTANCE), task.head(HeadKind.TYPE)]
    repeat = -(-side_px // BLOCK_PX)
    names = [head.name for head in heads if head]
    instance, types = block(1, 1 + len(task.classes))
    tiled = (np.tile(instance, (repeat, repeat, 1)), np.tile(types, (repeat, repeat)))
    return {name: array[:side_px, :side_px] for name, array in zip(names, tiled, strict=True)}


def main(sides_px: tuple[int, ...] = SIDES_PX) -> None:
    spec = nuclei_spec()
    postprocess(head_maps(200, spec.tasks[0]), spec)
    for side_px in sides_px:
        maps = head_maps(side_px, spec.tasks[0])
        start = time.process_time()
        table = postprocess(maps, spec)[spec.tasks[0].name]
        seconds = time.process_time() - start
        print(
            f"{side_px:5d} x {side_px:<5d} {len(table):7d} nuclei  {seconds:7.2f} s  "
            f"{1e6 * seconds / len(table):6.1f} us per nucleus"
        )


if __name__ == "__main__":
    main(tuple(int(arg) for arg in sys.argv[1:]) or SIDES_PX)
