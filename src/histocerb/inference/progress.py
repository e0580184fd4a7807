"""How far a slide is, for progress bars."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """What is being done."""

    WINDOWS = "windows"
    OBJECTS = "objects"
    TABLES = "tables"


class Progress(Protocol):
    """Told how far a slide is; called from several threads."""

    def __call__(self, stage: Stage, done: int, total: int, mm2: float) -> None:
        """`done` of `total` windows, tiles or objects of the stage; `mm2` of the slide seen so far."""
        ...


def no_progress(stage: Stage, done: int, total: int, mm2: float) -> None:
    """Tell nobody."""
