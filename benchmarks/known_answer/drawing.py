"""What the pictures are drawn with: soft-edged shapes and smooth noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]
"""H x W x 3, RGB 0..255."""
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Shape:
    """An ellipse with a wavy outline.

    Attributes:
        x, y: centre in pixels (pixel corners at integers).
        long_px, short_px: half axes.
        angle: of the long axis, in radians.
        waves: (amplitude, waves around, phase) of the outline, relative to the radius.
    """

    x: float
    y: float
    long_px: float
    short_px: float
    angle: float = 0.0
    waves: tuple[tuple[float, int, float], ...] = ()

    def scaled(self, factor: float) -> Shape:
        """The same outline, smaller or larger, around the same centre."""
        return Shape(self.x, self.y, self.long_px * factor, self.short_px * factor, self.angle, self.waves)

    def at(self, turn: float, share: float) -> tuple[float, float]:
        """The point in direction `turn` (of the circle it is made from) at that share of the radius."""
        radius = share * self._radius(np.float32(turn))
        u, v = radius * self.long_px * np.cos(turn), radius * self.short_px * np.sin(turn)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return float(self.x + cos * u - sin * v), float(self.y + sin * u + cos * v)

    def depth(self, rows: slice, columns: slice) -> npt.NDArray[np.float32]:
        """Pixels from the outline inwards, about; negative outside."""
        y, x = np.mgrid[rows, columns].astype(np.float32) + np.float32(0.5)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u = ((x - self.x) * cos + (y - self.y) * sin) / self.long_px
        v = ((y - self.y) * cos - (x - self.x) * sin) / self.short_px
        inwards = self._radius(np.arctan2(v, u)) - np.hypot(u, v)
        return np.asarray(inwards * min(self.long_px, self.short_px), np.float32)

    def window(self, height: int, width: int, reach_px: float = 2.0) -> tuple[slice, slice]:
        """Rows and columns of an image of that size that the shape can touch."""
        reach = reach_px + max(self.long_px, self.short_px) * (1 + sum(wave[0] for wave in self.waves))
        rows = slice(max(0, int(self.y - reach)), min(height, int(np.ceil(self.y + reach))))
        columns = slice(max(0, int(self.x - reach)), min(width, int(np.ceil(self.x + reach))))
        return rows, columns

    def _radius(self, turn: npt.NDArray[np.float32] | np.float32) -> npt.NDArray[np.float32]:
        waves = [a * np.cos(n * turn + phase) for a, n, phase in self.waves]
        return np.asarray(1 + sum(waves, np.zeros_like(turn)), np.float32)


def paint(picture: Picture, shape: Shape, colour: Colour, strength: float = 1.0) -> None:
    """Fill a shape, its edge one pixel soft."""
    rows, columns = shape.window(*picture.shape[:2])
    if rows.start < rows.stop and columns.start < columns.stop:
        cover = strength * np.clip(shape.depth(rows, columns) + 0.5, 0, 1)[..., None]
        part = picture[rows, columns]
        part += (np.array(colour, np.float32) - part) * cover


def mark(ids: npt.NDArray[np.int32], shape: Shape, number: int) -> None:
    """Write the id of a shape where its pixels' centres are."""
    rows, columns = shape.window(*ids.shape)
    if rows.start < rows.stop and columns.start < columns.stop:
        ids[rows, columns][shape.depth(rows, columns) > 0] = number


def noise(rng: np.random.Generator, side_px: int, grain_px: float) -> npt.NDArray[np.float32]:
    """Side x side, mean 0 and standard deviation 1, smooth over `grain_px`."""
    cells = max(4, round(side_px / grain_px))
    field = cv2.resize(rng.standard_normal((cells, cells)), (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def filled(side_px: int, colour: Colour) -> Picture:
    """A picture of one colour."""
    return np.broadcast_to(np.array(colour, np.float32), (side_px, side_px, 3)).copy()


def scanned(rng: np.random.Generator, picture: Picture) -> npt.NDArray[np.uint8]:
    """The picture as a scanner sees it: a little blurred, a little noisy, not always as bright."""
    seen = cv2.GaussianBlur(picture, (0, 0), 0.6) * np.float32(rng.uniform(0.96, 1.0))
    seen = seen + rng.normal(0, 3, picture.shape)
    return np.asarray(np.clip(np.round(seen), 0, 255), np.uint8)
