"""Ragged polygons: many objects, each an exterior ring and its holes, in three flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outlines:
    """Polygons of N objects with R rings and P points in all.

    Rings are open (the first point is not repeated). The first ring of an object is its exterior and has a
    positive signed area (sum of x_i * y_next - x_next * y_i); the others are holes and have a negative one.

    Attributes:
        points: P x 2 float64, (x, y), pixel corners at integers.
        ring_offsets: R + 1 int64; ring r is points[ring_offsets[r]:ring_offsets[r + 1]].
        object_offsets: N + 1 int64; object n has rings object_offsets[n]:object_offsets[n + 1].
    """

    points: Float
    ring_offsets: Int
    object_offsets: Int

    @classmethod
    def empty(cls) -> Outlines:
        """No objects."""
        return cls(np.zeros((0, 2)), np.zeros(1, np.int64), np.zeros(1, np.int64))

    @classmethod
    def from_rings(cls, objects: Sequence[Sequence[npt.ArrayLike]]) -> Outlines:
        """From nested lists: per object its rings, exterior first, each K x 2."""
        rings = [np.asarray(ring, np.float64).reshape(-1, 2) for rings in objects for ring in rings]
        points = np.concatenate(rings) if rings else np.zeros((0, 2))
        return cls(
            points, offsets(np.array([len(r) for r in rings])), offsets(np.array([len(o) for o in objects]))
        )

    def __len__(self) -> int:
        return len(self.object_offsets) - 1

    def rings(self, index: int) -> list[Float]:
        """Rings of one object, exterior first."""
        first, last = self.object_offsets[index : index + 2]
        return [self.points[self.ring_offsets[r] : self.ring_offsets[r + 1]] for r in range(first, last)]

    def select(self, index: npt.ArrayLike) -> Outlines:
        """The objects at `index` (integers, or one boolean per object), in that order."""
        chosen = positions(index, len(self))
        ring_counts = np.diff(self.object_offsets)[chosen]
        rings = ranges(self.object_offsets[chosen], ring_counts)
        point_counts = np.diff(self.ring_offsets)[rings]
        points = self.points[ranges(self.ring_offsets[rings], point_counts)]
        return Outlines(points, offsets(point_counts), offsets(ring_counts))

    def transform(self, scale: float, shift: tuple[float, float] = (0.0, 0.0)) -> Outlines:
        """All points times `scale`, then moved by `shift` (x, y)."""
        return Outlines(self.points * scale + np.asarray(shift), self.ring_offsets, self.object_offsets)

    @staticmethod
    def concat(parts: Sequence[Outlines]) -> Outlines:
        """The objects of all parts, in order."""
        if not parts:
            return Outlines.empty()
        return Outlines(
            np.concatenate([part.points for part in parts]),
            offsets(np.concatenate([np.diff(part.ring_offsets) for part in parts])),
            offsets(np.concatenate([np.diff(part.object_offsets) for part in parts])),
        )

    def paint(self, shape: tuple[int, int], values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Rasterise: a pixel whose centre lies in object n becomes values[n], others 0.

        Objects must not overlap. Linear in the height of the outlines plus the size of the image: every
        edge adds or takes its value where it crosses the centre line of a row, then rows are summed up.
        """
        height, width = shape
        ring_of_point = np.repeat(np.arange(len(self.ring_offsets) - 1), np.diff(self.ring_offsets))
        following = np.arange(1, len(self.points) + 1)
        following[self.ring_offsets[1:][np.diff(self.ring_offsets) > 0] - 1] = self.ring_offsets[:-1][
            np.diff(self.ring_offsets) > 0
        ]
        object_of_ring = np.repeat(np.arange(len(self)), np.diff(self.object_offsets))
        start, end = self.points, self.points[following]
        top, bottom = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
        first = np.clip(np.ceil(top - 0.5), 0, height).astype(np.int64)
        count = np.clip(np.ceil(bottom - 0.5), 0, height).astype(np.int64) - first
        edge = np.repeat(np.arange(len(start)), count)
        row = ranges(first, count)
        dx, dy = (end - start)[edge].T
        crossing = start[edge, 0] + (row + 0.5 - start[edge, 1]) * dx / dy
        column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
        value = values[object_of_ring[ring_of_point[edge]]].astype(np.int64)
        steps = np.zeros((height, width + 1), np.int64)
        np.add.at(steps, (row, column), np.where(dy < 0, value, -value))
        return np.cumsum(steps, axis=1)[:, :width].astype(np.int32)

    def paint_over(self, shape: tuple[int, int], values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Like `paint`, one object after the other: they may overlap, the later one wins.

        Outlines may cross themselves; what they go around in whatever direction is inside.
        """
        image = np.zeros(shape, np.int32)
        for n in range(len(self)):
            first, last = self.object_offsets[n : n + 2]
            rings = self.ring_offsets[first : last + 1]
            points = self.points[rings[0] : rings[-1]]
            if not len(points):
                continue
            corners = np.stack([np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))])
            (left, top), (right, bottom) = np.clip(corners, 0, shape[::-1]).astype(int).tolist()
            if left >= right or top >= bottom:
                continue
            alone = Outlines(points - (left, top), rings - rings[0], np.array([0, last - first]))
            inside = alone.paint((bottom - top, right - left), np.ones(1, np.int32)) != 0
            image[top:bottom, left:right][inside] = values[n]
        return image


def positions(index: npt.ArrayLike, count: int) -> Int:
    """Numbers of the objects at `index` (integers, or one boolean per object) among `count`."""
    wanted = np.asarray(index)
    if not wanted.size:
        wanted = wanted.astype(np.int64)  # numpy makes floats of an empty list, and these are no index
    chosen: Int = np.arange(count)[wanted]
    return chosen


def offsets(counts: npt.NDArray[np.integer]) -> Int:
    """Running sum with a leading 0: counts (3, 1) -> offsets (0, 3, 4)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def ranges(starts: npt.NDArray[np.integer], counts: npt.NDArray[np.integer]) -> Int:
    """Concatenation of arange(start, start + count) for all pairs."""
    before = offsets(counts)
    return np.arange(before[-1]) + np.repeat(starts - before[:-1], counts)
