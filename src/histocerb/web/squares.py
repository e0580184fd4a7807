"""Where the objects of a slide are, in squares: decides in the browser between outlines and dots."""

from __future__ import annotations

import numpy as np

from histocerb.web.index import ObjectIndex

_MAGIC = 0x31474248  # "HBG1", little-endian


def squares(index: ObjectIndex) -> bytes:
    """How many objects every square of the index has, kind by kind.

    Little-endian: uint32 magic, K kinds, S squares; float32 per kind: how far an object reaches beyond its
    centroid in level-0 pixels, and the median diameter in um; uint32 counts[K * S], squares in raster order.
    """
    counts = [np.diff(grid.bounds) for grid in index.grids]
    sizes = [(grid.reach_px, grid.diameter_um) for grid in index.grids]
    parts = [
        np.array([_MAGIC, len(counts), len(counts[0])], "<u4"),
        np.array(sizes, "<f4"),
        np.stack(counts).astype("<u4"),
    ]
    return b"".join(part.tobytes() for part in parts)
