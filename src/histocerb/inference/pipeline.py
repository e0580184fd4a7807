"""Reading, network, storing and settling at the same time, with bounded queues.

Windows are read ahead by a few threads, go through the network in their order, as many at a time as it
takes, are stored by one thread, and what becomes possible by that is settled by some others. The first error
of any stage ends all of them and is raised in the calling thread.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt

from histocerb.core.config_file import STRICT
from histocerb.core.errors import UsageError
from histocerb.core.geometry import Region, Window
from histocerb.inference.protocol import HeadMaps

Image = npt.NDArray[np.uint8]

_MOST_SETTLERS = 16


@dataclass(frozen=True)
class WorkSettings:
    """How the work is laid out, and what is left of it; nothing here changes tables or picture.

    Attributes:
        readers: threads that read windows.
        queue: windows that may wait before the network, and after it.
        tile_windows: side of a post-processing tile in windows.
        settlers: threads that find objects; 0: one per core, at most 16.
        cache_mb: decoded maps in memory.
        keep_maps: leave the head maps beside the results.
    """

    __pydantic_config__ = STRICT

    readers: int = 2
    queue: int = 4
    tile_windows: int = 2
    settlers: int = 0
    cache_mb: int = 64
    keep_maps: bool = False

    def __post_init__(self) -> None:
        for name in ("readers", "queue", "tile_windows", "settlers", "cache_mb"):
            least = 0 if name == "settlers" else 1
            if getattr(self, name) < least:
                raise UsageError(
                    f"expected {name} of at least {least}, found {getattr(self, name)}; raise it"
                )

    @property
    def settling_threads(self) -> int:
        """Threads that find objects, on this machine."""
        return self.settlers or min(os.cpu_count() or 1, _MOST_SETTLERS)


@dataclass(frozen=True)
class Stages:
    """What happens to a window.

    Attributes:
        read: gives its image; called from several threads.
        predict: gives its maps; called from `parallel` threads, begun in the order of windows.
        store: keeps them and says which tiles became ready; called from one thread, in that order.
        settle: works on a ready tile; called from several threads.
        parallel: windows that the network takes at a time.
    """

    read: Callable[[Window], Image]
    predict: Callable[[Image], HeadMaps]
    store: Callable[[Window, HeadMaps], list[Region]]
    settle: Callable[[Region], None]
    parallel: int = 1


@dataclass
class StageClock:
    """Seconds spent per stage, summed over threads."""

    seconds: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent


def run_windows(
    windows: Sequence[Window], ready: Sequence[Region], stages: Stages, settings: WorkSettings
) -> None:
    """Take every window through all stages.

    Args:
        windows: what to do, in this order.
        ready: tiles that can be settled from the beginning.
        stages: what to do.
        settings: numbers of threads and sizes of queues.

    Raises:
        Exception: whatever the first failing stage raised.
    """
    readers = ThreadPoolExecutor(settings.readers, "histocerb-read")
    network = ThreadPoolExecutor(stages.parallel, "histocerb-network")
    keeper = ThreadPoolExecutor(1, "histocerb-store")
    settler = ThreadPoolExecutor(settings.settling_threads, "histocerb-settle")
    settled = deque(settler.submit(stages.settle, tile) for tile in ready)
    stored: deque[Future[list[Region]]] = deque()
    predicted: deque[tuple[Window, Future[HeadMaps]]] = deque()

    def keep_up(predicting: int, waiting: int) -> None:
        while len(predicted) > predicting:
            window, maps = predicted.popleft()
            stored.append(keeper.submit(stages.store, window, maps.result()))
        while stored and (len(stored) > waiting or stored[0].done()):
            settled.extend(settler.submit(stages.settle, tile) for tile in stored.popleft().result())
        while settled and settled[0].done():
            settled.popleft().result()

    try:
        for window, image in _read_ahead(windows, stages.read, readers, settings.readers + settings.queue):
            predicted.append((window, network.submit(stages.predict, image)))
            keep_up(stages.parallel, settings.queue)
        keep_up(0, 0)
        for future in settled:
            future.result()
    finally:
        readers.shutdown(wait=True, cancel_futures=True)
        network.shutdown(wait=True, cancel_futures=True)
        for window, maps in predicted:  # what the network has done is kept, also when something else failed
            if not maps.cancelled() and maps.exception() is None:
                keeper.submit(stages.store, window, maps.result())
        keeper.shutdown(wait=True)
        settler.shutdown(wait=True, cancel_futures=True)


def _read_ahead(
    windows: Sequence[Window], read: Callable[[Window], Image], readers: ThreadPoolExecutor, ahead: int
) -> Iterator[tuple[Window, Image]]:
    """Images in order, at most `ahead` of them waiting."""
    waiting: deque[tuple[Window, Future[Image]]] = deque()
    remaining = iter(windows)
    while True:
        while len(waiting) < ahead and (window := next(remaining, None)) is not None:
            waiting.append((window, readers.submit(read, window)))
        if not waiting:
            return
        window, future = waiting.popleft()
        yield window, future.result()
