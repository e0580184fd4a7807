"""Laying a drawn gland over the tissue of a block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from histocerb.slides.synth.config import Tissue
from histocerb.slides.synth.noise import compiled, lattice_memory, smooth
from histocerb.slides.synth.texture import mucin, necrosis

NEAR_PX = 20.0
"""Connective tissue so close to a gland counts as epithelium in the tissue map."""

Int32s = npt.NDArray[np.int32]
_STROMA = int(Tissue.STROMA)


@compiled
def paint_gland(
    stains: npt.NDArray[np.float32],
    glands: Int32s,
    lumina: Int32s,
    nuclei: Int32s,
    tissue: npt.NDArray[np.uint8],
    depth: npt.NDArray[np.float32],
    lumen: Int32s,
    corner: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    habit: npt.NDArray[np.float64],
    seed: int,
) -> None:
    """Lay a drawn gland over the canvas.

    `corner`: canvas x, y, gland x, y. `numbers`: gland id, first lumen id, tissue class.
    `habit`: haematoxylin, eosin, cleft, content, goblets, scale.
    """
    height, width = glands.shape
    scale = habit[5]
    memory, filling = lattice_memory(2), lattice_memory(5)
    r0, r1 = max(0, corner[3] - corner[1]), min(height, corner[3] - corner[1] + depth.shape[0])
    c0, c1 = max(0, corner[2] - corner[0]), min(width, corner[2] - corner[0] + depth.shape[1])
    for r in range(r0, r1):
        for c in range(c0, c1):
            gr, gc = r + corner[1] - corner[3], c + corner[0] - corner[2]
            d = depth[gr, gc]
            x, y = (corner[0] + c + 0.5) * scale, (corner[1] + r + 0.5) * scale
            if d < 0.0:
                if d > -NEAR_PX and glands[r, c] == 0 and tissue[r, c] == _STROMA:
                    tissue[r, c] = numbers[2]
                if habit[2] > 0.0 and glands[r, c] == 0:
                    wide = habit[2] * (0.6 + 1.3 * smooth(memory[0], seed + 5, x / 40.0, y / 40.0))
                    if -d < wide and nuclei[r, c] == 0:
                        for s in range(3):
                            stains[r, c, s] *= 0.12
                continue
            glands[r, c] = numbers[0]
            nuclei[r, c] = 0
            tissue[r, c] = numbers[2]
            cloud = smooth(memory[1], seed + 6, x / 9.0, y / 9.0)
            haem = habit[0] * (1.0 + 0.25 * cloud) * (0.85 + 0.3 * min(1.0, d / 20.0) * (1.0 - habit[4]))
            eosin = habit[1] * (1.0 + 0.2 * cloud)
            if d < 1.6:
                haem, eosin = 0.6 * haem, eosin + 0.15
            if lumen[gr, gc] > 0:
                lumina[r, c] = numbers[1] + lumen[gr, gc]
                haem, eosin = 0.012, 0.012
                if habit[3] == 1.0:
                    haem, eosin = mucin(filling, seed, x, y)
                elif habit[3] == 2.0:
                    haem, eosin = necrosis(filling, seed, x, y)
            stains[r, c, 0], stains[r, c, 1], stains[r, c, 2] = haem, eosin, 0.0
