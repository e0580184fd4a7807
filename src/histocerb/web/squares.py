"""Where the objects of a slide are, in squares: decides in the browser between outlines and dots."""

from __future__ import annotations

import numpy as np

from histocerb.web.index import ObjectIndex

_MAGIC = 0x32474248  # "HBG2", little-endian


def squares(index: ObjectIndex) -> bytes:
    """How many objects every square of the index has and how far they reach, kind by kind.

    Little-endian: uint32 magic, K kinds, S squares (0 where K is); float32 per kind: the median diameter in
    um; uint32 counts[K * S], squares in raster order; float32 reaches[K * S]: how far the objects of a square
    reach beyond their centroids at most, in level-0 pixels. Per square, so that one large object does not
    make every view ask for what is far around it.
    """
    counts = [np.diff(grid.bounds) for grid in index.grids]
    size = len(counts[0]) if counts else 0
    parts = [
        np.array([_MAGIC, len(counts), size], "<u4"),
        np.array([grid.diameter_um for grid in index.grids], "<f4"),
        np.array(counts, "<u4"),
        np.array([grid.reaches_px for grid in index.grids], "<f4"),
    ]
    return b"".join(part.tobytes() for part in parts)
