"""A budget of memory: the layout of work that keeps it.

What a process holds besides its model is windows that wait, tiles that are settled, and tables that are
written; each has a size that does not depend on the slide. The model is measured, by computing one window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from histocerb.core.errors import UsageError
from histocerb.core.geometry import MARGIN_PX, WINDOW_OUTPUT_PX
from histocerb.core.memory import peak_memory_mb
from histocerb.inference.manifest import RunningModel
from histocerb.inference.pipeline import WorkSettings

_WINDOW_PX = (WINDOW_OUTPUT_PX + 2 * MARGIN_PX) ** 2
_IMAGE_MB = 3 * _WINDOW_PX / 2**20
_READER_MB = 4 * _IMAGE_MB
"""What is decoded beside the image itself."""
_MAPS_MB = 20.0
"""Maps of a window as they come and as they are stored."""
_TILE_BYTES_PER_PX = 48
"""Label maps while objects are found: measured 35 to 45 at the peak."""
_TABLES_MB = 230.0
"""Row groups that are made and written, labels of glands, picture."""
_LEAST_CACHE_MB = 16
_GB_PER_MB = 2**20 / 1e9


def within(budget_bytes: int, settings: WorkSettings, model: RunningModel) -> WorkSettings:
    """The settings, or where these take too much smaller ones that keep a budget.

    Args:
        budget_bytes: most that the process may hold, its model included.
        settings: what is wanted.
        model: is made to compute a window, to see what it takes.

    Raises:
        UsageError: The budget is too small; the sentence says the least one that is not.
    """
    taken_gb = _taken_mb(model) * _GB_PER_MB
    for smaller in _smaller(settings):
        least_gb = taken_gb + need_mb(smaller, model.parallel) * _GB_PER_MB
        if least_gb <= budget_bytes / 1e9:
            return smaller
    raise UsageError(
        f"expected --memory of at least {math.ceil(10 * least_gb) / 10:.1f}GB, of which the model takes "
        f"{taken_gb:.1f}GB, found {budget_bytes / 1e9:.1f}GB; raise it, or choose a smaller model"
    )


def need_mb(settings: WorkSettings, parallel: int = 1) -> float:
    """Most that the work on a slide takes besides the model; single objects larger than a tile come on top.

    Args:
        settings: how it is laid out.
        parallel: windows that the network takes at a time.
    """
    images = settings.readers * _READER_MB + (settings.readers + settings.queue + parallel) * _IMAGE_MB
    maps = (settings.queue + parallel + 1) * _MAPS_MB
    tile_px = (settings.tile_windows * WINDOW_OUTPUT_PX) ** 2
    tiles = settings.settling_threads * tile_px * _TILE_BYTES_PER_PX / 2**20
    return images + maps + tiles + settings.cache_mb + _TABLES_MB


def _smaller(settings: WorkSettings) -> Iterator[WorkSettings]:
    """The settings, then ever smaller ones: first what costs least time."""
    yield settings
    if settings.tile_windows > 1:
        settings = replace(settings, tile_windows=1)
        yield settings
    while (
        max(settings.settling_threads, settings.queue, settings.readers) > 1
        or settings.cache_mb > _LEAST_CACHE_MB
    ):
        settings = replace(
            settings,
            settlers=max(1, settings.settling_threads // 2),
            queue=max(1, settings.queue // 2),
            readers=max(1, settings.readers // 2),
            cache_mb=max(min(settings.cache_mb, _LEAST_CACHE_MB), settings.cache_mb // 2),
        )
        yield settings


def _taken_mb(model: RunningModel) -> float:
    """What this process holds at most while its model computes a window, and processes of devices with it."""
    side = WINDOW_OUTPUT_PX + 2 * MARGIN_PX
    for _ in range(model.parallel):
        model.predictor.predict(np.zeros((side, side, 3), np.uint8), MARGIN_PX)
    return peak_memory_mb() + sum(map(peak_memory_mb, model.pids))
