"""What became of the objects of a slide from one result to another, found a row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import shapely

from histocerb.analysis.changes import NO_PARTNER, SAME_IOU, ious, most_iou, partners
from histocerb.core.colours import Rgb
from histocerb.core.outlines import Int
from histocerb.web.index import NO_WORD, ObjectIndex, Rows
from histocerb.web.opened import Opened

_SLACK = 0.02
"""Boxes and areas are stored with 32 bits: pairs are only left out well below the limit."""

Codes = npt.NDArray[np.int8]


class Change(StrEnum):
    """What became of an object."""

    MATCHED = "matched"
    """In both results, with the same class."""
    RETYPED = "retyped"
    """In both, with another class."""
    LOST = "lost"
    """Only in the first."""
    NEW = "new"
    """Only in the second."""


WORDS = tuple(change.value for change in Change)
SIDES = ((Change.MATCHED, Change.RETYPED, Change.LOST), (Change.MATCHED, Change.RETYPED, Change.NEW))
"""What objects of the first and of the second result can be."""

CHANGE_COLOURS: dict[str, Rgb] = {
    Change.MATCHED: (195, 195, 195),
    Change.RETYPED: (240, 228, 66),
    Change.LOST: (213, 60, 0),
    Change.NEW: (0, 60, 200),
}


@dataclass(frozen=True)
class Changes:
    """Two results of one slide, object by object.

    Attributes:
        opened: the first and the second result.
        indices: their objects, with changes in place of classes.
        partners: per object the row of the same one in the other result, or NO_PARTNER.
    """

    opened: tuple[Opened, Opened]
    indices: tuple[ObjectIndex, ObjectIndex]
    partners: tuple[Int, Int]

    @property
    def stamp(self) -> str:
        """Changes when one of the results does."""
        return "-".join(one.stamp for one in self.opened)

    def change(self, side: int, row: int) -> Change:
        """What became of an object."""
        return Change(WORDS[int(self.indices[side].columns["class_code"][row])])


def compare(first: Opened, second: Opened, progress: Callable[[float], None]) -> Changes:
    """Find the same objects in two results.

    Args:
        first: the one before.
        second: the one after; of the same slide.
        progress: told the share that is done; may raise to end it.
    """
    pairs, values = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    size = max(len(first.index), 1)
    for kind, rows in _parts(first.index):
        progress(rows[0] / size)
        near = _candidates(first, second, kind, rows)
        if len(near):
            pairs.append(near)
            values.append(_ious(first, second, near))
    sizes = len(first.index), len(second.index)
    own, other = partners(np.concatenate(pairs), np.concatenate(values), sizes)
    codes = _codes(first.index, second.index, own), _codes(second.index, first.index, other)
    codes[1][other == NO_PARTNER] = WORDS.index(Change.NEW)
    indices = (_recoded(first.index, 0, codes[0]), _recoded(second.index, 1, codes[1]))
    return Changes((first, second), indices, (own, other))


def _parts(index: ObjectIndex) -> Iterator[tuple[str, Rows]]:
    """Rows of a kind, a row group at a time: they lie close together."""
    for begin, end in zip(index.group_bounds[:-1], index.group_bounds[1:], strict=True):
        kinds = index.columns["kind"][begin:end]
        for code in np.unique(kinds).tolist():
            yield index.kinds[code], begin + np.flatnonzero(kinds == code)


def _candidates(first: Opened, second: Opened, kind: str, rows: Rows) -> Int:
    """Pairs of rows, K x 2, that may be the same by their boxes and areas."""
    none = np.zeros((0, 2), np.int64)
    if kind not in second.index.kinds:
        return none
    grid = second.index.grids[second.index.kind_code(kind)]
    boxes = first.index.boxes[rows]
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    reach = grid.reach_px
    others = grid.near((left - reach, top - reach, right + reach, bottom + reach))
    if not len(others):
        return none
    tree = shapely.STRtree(shapely.box(*second.index.boxes[others].T))
    at, other = tree.query(shapely.box(*boxes.T))
    pairs = np.stack([rows[at], others[other]], axis=1)
    sides = tuple(zip((first, second), pairs.T, strict=True))
    own, their = (one.index.boxes[chosen].astype(np.float64) for one, chosen in sides)
    own_area, their_area = (_area_px(one)[chosen].astype(np.float64) for one, chosen in sides)
    return pairs[most_iou((own, their), (own_area, their_area)) > SAME_IOU - _SLACK]


def _area_px(one: Opened) -> npt.NDArray[np.float32]:
    areas: npt.NDArray[np.float32] = one.index.columns["area_um2"]
    return areas / np.float32(one.manifest.slide["mpp"] ** 2)


def _ious(first: Opened, second: Opened, pairs: Int) -> npt.NDArray[np.float64]:
    outlines, numbers = [], []
    for one, rows in ((first, pairs[:, 0]), (second, pairs[:, 1])):
        chosen, number = np.unique(rows, return_inverse=True)
        outlines.append(one.outlines.stored(chosen))
        numbers.append(number)
    return ious(outlines[0], outlines[1], np.stack(numbers, axis=1))


def _codes(own: ObjectIndex, their: ObjectIndex, partner: Int) -> Codes:
    """Per object: matched, retyped or, without partner, lost. Classes are the same if their names are."""
    codes = np.full(len(own), WORDS.index(Change.LOST), np.int8)
    rows = np.flatnonzero(partner != NO_PARTNER)
    number = {name: n for n, name in enumerate(dict.fromkeys((*own.classes, *their.classes)))}
    before, after = (
        np.array([*(number[name] for name in index.classes), NO_WORD])[index.columns["class_code"][chosen]]
        for index, chosen in ((own, rows), (their, partner[rows]))
    )
    differs = (before != after) & (before != NO_WORD) & (after != NO_WORD)
    codes[rows] = np.where(differs, WORDS.index(Change.RETYPED), WORDS.index(Change.MATCHED))
    return codes


def _recoded(index: ObjectIndex, side: int, codes: Codes) -> ObjectIndex:
    words = tuple(change.value for change in SIDES[side])
    return index.recoded(WORDS, (words,) * len(index.kinds), CHANGE_COLOURS, codes)
