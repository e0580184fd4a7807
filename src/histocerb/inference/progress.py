"""How far a slide is, for progress bars."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """What is being done, by what is counted: objects when they are written into tables."""

    WINDOWS = "windows"
    TILES = "tiles"
    OBJECTS = "objects"


class Progress(Protocol):
    """Told how far a slide is; called from several threads."""

    def __call__(self, stage: Stage, done: int, total: int, mm2: float) -> None:
        """`done` of `total` units of the stage, told before this run has done any; `mm2` seen so far."""
        ...


def no_progress(stage: Stage, done: int, total: int, mm2: float) -> None:
    """Tell nobody."""
