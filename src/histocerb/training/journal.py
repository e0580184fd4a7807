"""The journal of a run: a long table of losses, pace and validation figures."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from histocerb.training.files import writing

COLUMNS = ("stage", "step", "name", "value")

Sink = Callable[[int, Mapping[str, float]], None]
"""Also gets what is written: the step of the whole run, and values by name."""


@dataclass(frozen=True)
class Row:
    """One value.

    Attributes:
        stage: number of the stage, from 1.
        step: of that stage.
        name: `loss/HEAD`, `lr`, `steps_per_s`, `waiting` (share of the time spent waiting for data), or
            `valid/SOURCE/TASK/FIGURE`.
        value: the mean since the row before, or the figure at that step.
    """

    stage: int
    step: int
    name: str
    value: float


class Journal:
    """Appends rows to a CSV file."""

    def __init__(self, path: Path, steps: tuple[int, ...], sinks: tuple[Sink, ...] = ()) -> None:
        """Write to `path`; `steps` of each stage."""
        self.path = path
        self.steps = steps
        self.sinks = sinks

    def write(self, stage: int, step: int, values: Mapping[str, float]) -> None:
        """Append one row per value.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        new = not self.path.is_file()
        with writing(self.path.parent), self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(COLUMNS)
            writer.writerows([stage, step, name, f"{value:.6g}"] for name, value in values.items())
        for sink in self.sinks:
            sink(sum(self.steps[: stage - 1]) + step, values)

    def rows(self) -> list[Row]:
        """All that was written; a line that was cut off by a kill is left out."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            parsed = [_parsed(line) for line in csv.reader(file)]
        return [row for row in parsed if row is not None]

    def cut(self, stage: int, step: int) -> None:
        """Forget what an interrupted run wrote after the step from which it is resumed."""
        kept = [row for row in self.rows() if (row.stage, row.step) <= (stage, step)]
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([row.stage, row.step, row.name, f"{row.value:.6g}"] for row in kept)
        os.replace(temporary, self.path)


def _parsed(line: list[str]) -> Row | None:
    try:
        stage, step, name, value = line
        row = Row(int(stage), int(step), name, float(value))
    except ValueError:
        return None
    return row if math.isfinite(row.value) else None
