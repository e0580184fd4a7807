"""The differences of two results as a list that one can walk through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.analysis.changes import NO_PARTNER
from histocerb.core.errors import UsageError
from histocerb.core.outlines import Int
from histocerb.web.cache import ByteCache
from histocerb.web.changes import CHANGE_COLOURS, SIDES, WORDS, Change, Changes
from histocerb.web.index import Rows, check_kind
from histocerb.web.pictures import Drawn
from histocerb.web.queries import SORTABLE, Choice, row_facts

_ORDER_BYTES = 32 << 20
_NUMBER = np.int64(1) << 40
"""Rows of the second result are listed above this."""


@dataclass(frozen=True)
class Pair:
    """An object in both results, or in one of them.

    Attributes:
        change: what became of it.
        rows: in the first and in the second result, NO_PARTNER where it is not.
    """

    change: Change
    rows: tuple[int, int]


class Differences:
    """Changes, and lists of them; lists that were asked for are kept, up to a bound."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self._kept: ByteCache[Choice, Int] = ByteCache(_ORDER_BYTES, lambda rows: rows.nbytes)

    def listed(self, choice: Choice) -> Int:
        """Numbers of differences in an order; `pair` tells what they stand for.

        Args:
            choice: as of a gallery; its class is a change, None: all but matched.

        Raises:
            UsageError: There is no such kind in either result, or no such change or column.
        """
        return self._kept.get(choice, lambda: self._sorted(choice))

    def pair(self, number: int) -> Pair:
        """What a number of a list stands for."""
        return self.pair_of(*divmod(int(number), int(_NUMBER)))

    def pair_of(self, side: int, row: int) -> Pair:
        """The pair to which an object of a side belongs."""
        other = int(self.changes.partners[side][row])
        change = self.changes.change(side, row)
        return Pair(change, (row, other) if side == 0 else (other, row))

    def facts(self, pair: Pair) -> dict[str, Any]:
        """What both results say of an object."""
        sides = zip(self.changes.opened, pair.rows, strict=True)
        both = [None if row == NO_PARTNER else row_facts(one.index, row) for one, row in sides]
        return {"change": pair.change.value, "first": both[0], "second": both[1]}

    def drawn(self, pair: Pair) -> tuple[npt.NDArray[np.float32], list[Drawn]]:
        """The box around an object in both results, and its outlines in the colours of lost and new."""
        boxes, outlines = [], []
        shades = (CHANGE_COLOURS[Change.LOST], CHANGE_COLOURS[Change.NEW])
        for one, row, shade in zip(self.changes.opened, pair.rows, shades, strict=True):
            if row != NO_PARTNER:
                boxes.append(one.index.boxes[row])
                outlines.append((one.outlines.rings_of(row), shade))
        stacked = np.stack(boxes)
        box = np.concatenate([stacked[:, :2].min(axis=0), stacked[:, 2:].max(axis=0)])
        return np.asarray(box, np.float32), outlines

    def _sorted(self, choice: Choice) -> Int:
        wanted = _wanted(choice)
        if choice.by not in SORTABLE:
            raise UsageError(f"expected a column of {', '.join(SORTABLE)}, found {choice.by!r}")
        check_kind(choice.kind, *self.changes.indices)
        numbers, values = [], []
        for side, index in enumerate(self.changes.indices):
            if choice.kind not in index.kinds:
                continue
            codes = [WORDS.index(change) for change in SIDES[side] if change in wanted]
            wanted = wanted - {Change.RETYPED}  # in both: listed once
            of_kind = index.columns["kind"] == index.kind_code(choice.kind)
            rows: Rows = np.flatnonzero(of_kind & np.isin(index.columns["class_code"], codes))
            rows = index.confident(rows, choice.least)
            numbers.append(rows + side * _NUMBER)
            values.append(index.columns[choice.by][rows])
        listed, by = np.concatenate(numbers), np.concatenate(values).astype(np.float64)
        return listed[np.lexsort((listed, -by if choice.descending else by))]


def _wanted(choice: Choice) -> set[Change]:
    if choice.class_name is None:
        return set(Change) - {Change.MATCHED}
    if choice.class_name not in WORDS:
        raise UsageError(f"expected a change of {', '.join(WORDS)}, found {choice.class_name!r}")
    if choice.class_name == Change.MATCHED:
        raise UsageError("expected a difference, found 'matched'; ask for retyped, lost or new")
    return {Change(choice.class_name)}
