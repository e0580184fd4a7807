"""Units that tile borders cut, joined as tiles arrive.

A tile reports, for every unit that goes on beyond its border, the places where it does. The tile on the
other side reports the same places, which joins two units and settles one place of each. A group without
unsettled places is complete. What is kept is proportional to what is unsettled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from histocerb.core.geometry import Region
from histocerb.postproc.arrays import I64

Place = tuple[int, int, int]
"""A pixel edge on a tile border: 0 (horizontal line) or 1 (vertical), the line, the pixel along it."""

_GROUP_COLUMNS = 7  # open places, x, y, width, height of the box, row, column of the anchor


@dataclass(frozen=True)
class CutUnit:
    """The part of a unit in one tile.

    Attributes:
        box: bounding box of the part.
        anchor: (row, column) of one of its pixels.
        places: where it goes on in other tiles; at least one.
    """

    box: Region
    anchor: tuple[int, int]
    places: Sequence[Place]


@dataclass
class Group:
    """Parts of one unit: their bounding box, one pixel (row, column), and how many places are unsettled."""

    box: Region
    anchor: tuple[int, int]
    open_places: int
    members: list[int] = field(default_factory=list)


class Seams:
    """Union-find over the parts of cut units."""

    def __init__(self) -> None:
        self._waiting: dict[Place, int] = {}
        self._root: dict[int, int] = {}
        self._groups: dict[int, Group] = {}
        self._next = 0

    def add(self, units: Sequence[CutUnit]) -> list[Group]:
        """Take the cut units of one tile; returns the groups that it completes, and forgets them."""
        touched = set()
        for unit in units:
            number, self._next = self._next, self._next + 1
            self._root[number] = number
            self._groups[number] = Group(unit.box, unit.anchor, len(unit.places), [number])
            for place in unit.places:
                other = self._waiting.pop(place, None)
                if other is None:
                    self._waiting[place] = number
                else:
                    self._join(number, other)
            touched.add(number)
        roots = sorted({self._root[number] for number in touched})
        return [self._forget(root) for root in roots if not self._groups[root].open_places]

    def remaining(self) -> list[Group]:
        """All groups with unsettled places; forgets them."""
        self._waiting.clear()
        return [self._forget(root) for root in sorted(self._groups)]

    def state(self) -> dict[str, I64]:
        """All that is unsettled, as plain arrays."""
        groups = [
            (g.open_places, g.box.x, g.box.y, g.box.width, g.box.height, *g.anchor)
            for _, g in sorted(self._groups.items())
        ]
        members = [(number, root) for root, g in sorted(self._groups.items()) for number in g.members]
        places = [(*place, number) for place, number in self._waiting.items()]
        return {
            "groups": np.array(groups, np.int64).reshape(-1, _GROUP_COLUMNS),
            "members": np.array(members, np.int64).reshape(-1, 2),
            "places": np.array(places, np.int64).reshape(-1, 4),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, I64]) -> Seams:
        """The inverse of `state`."""
        seams = cls()
        seams._waiting = {(int(a), int(b), int(c)): int(number) for a, b, c, number in state["places"]}
        members: defaultdict[int, list[int]] = defaultdict(list)
        for number, root in state["members"].tolist():
            seams._root[number] = root
            members[root].append(number)
        for root, row in zip(sorted(members), state["groups"].tolist(), strict=True):
            count, x, y, width, height, *anchor = row
            box = Region(x, y, width, height)
            seams._groups[root] = Group(box, (anchor[0], anchor[1]), count, members[root])
        seams._next = 1 + max(seams._root, default=-1)
        return seams

    def _join(self, number: int, other: int) -> None:
        """Settle one place of both and make them one group, by renaming the smaller one."""
        keep, drop = self._groups[self._root[number]], self._groups[self._root[other]]
        if keep is drop:
            keep.open_places -= 2
            return
        if len(keep.members) < len(drop.members):
            keep, drop = drop, keep
        root = self._root[keep.members[0]]
        del self._groups[self._root[drop.members[0]]]
        for member in drop.members:
            self._root[member] = root
        keep.members += drop.members
        keep.open_places += drop.open_places - 2
        keep.box = keep.box.union(drop.box)

    def _forget(self, root: int) -> Group:
        group = self._groups.pop(root)
        for member in group.members:
            del self._root[member]
        return group
