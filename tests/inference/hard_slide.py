"""A small slide that is hard to cut up, runs of it that go wrong, and the reference."""

from __future__ import annotations

import errno
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from benchmarks.stand_in import StandInPredictor
from histocerb.core import geometry
from histocerb.core.tasks import CELL_PX, CERBERUS
from histocerb.inference import spill
from histocerb.inference.manifest import RunningModel

WINDOW_PX = CELL_PX
COLUMNS, ROWS = 5, 4
WIDTH, HEIGHT = COLUMNS * WINDOW_PX - 37, ROWS * WINDOW_PX - 61
RESULTS = ("objects.parquet", "tissue.parquet")

INSIDE, RIM = 50, 135
"""Colours that the stand-in takes for the inside and the contour of an object."""


@contextmanager
def small_windows() -> Iterator[None]:
    """Windows that keep one tissue cell, as a small image has them, also on a larger one."""
    before = geometry.WINDOW_OUTPUT_PX
    geometry.WINDOW_OUTPUT_PX = spill.WINDOW_OUTPUT_PX = WINDOW_PX
    try:
        yield
    finally:
        geometry.WINDOW_OUTPUT_PX = spill.WINDOW_OUTPUT_PX = before


def draw(seed: int) -> np.ndarray:
    """Nuclei (red) on seams and corners and in chains, glands (green) over many windows, lumina (blue)."""
    rng = np.random.default_rng(seed)
    planes = np.full((3, HEIGHT, WIDTH), 255, np.uint8)

    def thing(plane: int, x: float, y: float, axes: tuple[int, int], rim_px: int = 2) -> None:
        at, angle = (round(x), round(y)), float(rng.uniform(0, 180))
        cv2.ellipse(planes[plane], at, axes, angle, 0, 360, RIM, -1)
        inner = (max(axes[0] - rim_px, 1), max(axes[1] - rim_px, 1))
        cv2.ellipse(planes[plane], at, inner, angle, 0, 360, INSIDE, -1)

    thing(1, 320, 230, (215, 150), 6)  # covers windows whole
    thing(1, 560, 440, (100, 70), 6)
    for x in range(60, WIDTH, 70):  # a chain of glands that touch, along the upper border
        thing(1, x, 30, (36, 30), 3)
    for x, y in rng.uniform((30, 30), (WIDTH - 30, HEIGHT - 30), (25, 2)):
        thing(2, x, y, (24, 17), 3)
    lines_x, lines_y = range(0, WIDTH + 1, WINDOW_PX), range(0, HEIGHT + 1, WINDOW_PX)
    for x in lines_x:
        for y in lines_y:
            thing(0, x + rng.integers(-2, 3), y + rng.integers(-2, 3), (9, 6))
    for x in lines_x:
        for y in range(20, HEIGHT, 24):
            thing(0, x + rng.integers(-7, 8), y, (8, 6))
    for y in lines_y:
        for x in range(20, WIDTH, 13):  # so near that they touch: one chain along each seam
            thing(0, x, y + rng.integers(-5, 6), (7, 7))
    for x, y in rng.uniform((0, 0), (WIDTH, HEIGHT), (250, 2)):
        thing(0, x, y, (8, 5))
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


class Clockwork:
    """A stand-in that takes a random time and may do something before the n-th window."""

    device = "stand-in"

    def __init__(self, seed: int = 0, at: int | None = None, then: Callable[[], None] = lambda: None) -> None:
        self._predictor = StandInPredictor(CERBERUS)
        self._random, self._at, self._then = random.Random(seed), at, then
        self.windows = 0

    def predict(self, image, margin_px):
        if self.windows == self._at:
            self._then()
        self.windows += 1
        time.sleep(self._random.random() * 0.003)
        return self._predictor.predict(image, margin_px)

    def model(self) -> RunningModel:
        return RunningModel("stand-in", "0" * 64, CERBERUS, self)


class Writes:
    """Does something at the n-th file that is opened for writing, or renamed, below a folder.

    Python tells an audit hook of these before they happen. A hook stays for good, so there is one.
    """

    _hooked = False
    _current: Writes | None = None

    def __init__(
        self, folder: Path, at: int | None, then: Callable[[], None], *, lasting: bool = False
    ) -> None:
        self._folder, self._at, self._then, self._lasting = str(folder), at, then, lasting
        self._lock = threading.Lock()
        self.count = 0

    def __enter__(self) -> Writes:
        if not Writes._hooked:
            sys.addaudithook(_hook)
            Writes._hooked = True
        Writes._current = self
        return self

    def __exit__(self, *raised: object) -> None:
        Writes._current = None

    def saw(self, path: str) -> None:
        """One more."""
        if not path.startswith(self._folder):
            return
        with self._lock:
            now, self.count = self.count, self.count + 1
        if self._at is not None and (now >= self._at if self._lasting else now == self._at):
            self._then()


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    current = Writes._current
    if current is None:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = set("wax+") & set(mode) if isinstance(mode, str) else int(flags) & (os.O_WRONLY | os.O_RDWR)
        if writes and not isinstance(path, int):
            current.saw(os.fsdecode(path))
    elif event == "os.rename":
        current.saw(os.fsdecode(arguments[1]))


def no_room() -> None:
    """What a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def damage_newest(folder: Path, rng: random.Random, most: int, *, spared: str = "") -> None:
    """What a power cut does to files not forced to disk: some of the newest are short, zero or gone.

    Args:
        folder: of the slide.
        rng: decides.
        most: files that may be damaged.
        spared: name of one that was forced to disk.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != spared]
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)[-rng.randint(1, most) :]:
        size = path.stat().st_size
        fate = rng.choice(("kept", "short", "zero", "gone"))
        if fate == "gone":
            path.unlink()
        elif fate == "short":
            os.truncate(path, rng.randint(0, max(size - 1, 0)))
        elif fate == "zero":
            path.write_bytes(bytes(size))


def results(folder: Path) -> list[bytes]:
    """Content of the tables."""
    return [(folder / name).read_bytes() for name in RESULTS]
