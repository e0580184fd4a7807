"""Textures of the nine tissue classes, each unlike the others at any turn and scale of the augmentation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.known_answer.drawing import Colour, Picture, Shape, filled, noise, paint


def _background(rng: np.random.Generator, side_px: int) -> Picture:
    return filled(side_px, (243, 242, 244)) + 1.5 * noise(rng, side_px, 40)[..., None]


def _abnormal(rng: np.random.Generator, side_px: int) -> Picture:
    picture = _grained(rng, side_px, (190, 130, 185), 8, 12)
    return _dotted(rng, picture, (9, 16), 1.5, (95, 65, 155))


def _normal(rng: np.random.Generator, side_px: int) -> Picture:
    """Round glands in rows."""
    picture = filled(side_px, (235, 200, 220))
    pitch, (x0, y0) = rng.uniform(40, 52), rng.uniform(0, 40, 2)
    for y in np.arange(y0 - pitch, side_px + pitch, pitch):
        for x in np.arange(x0 - pitch, side_px + pitch, pitch):
            ring = Shape(x, y, 0.42 * pitch, 0.42 * pitch)
            paint(picture, ring, (175, 115, 180))
            paint(picture, ring.scaled(0.5), (247, 244, 247))
    return picture


def _inflammatory(rng: np.random.Generator, side_px: int) -> Picture:
    return _dotted(rng, _grained(rng, side_px, (232, 205, 225), 4, 10), (4, 5), 1.1, (70, 35, 110))


def _muscle(rng: np.random.Generator, side_px: int) -> Picture:
    along = _across(rng, side_px) / rng.uniform(8, 11)
    waves = np.sin(2 * np.pi * along + 0.6 * noise(rng, side_px, 30))
    return filled(side_px, (222, 125, 150)) + 22 * waves[..., None].astype(np.float32)


def _stroma(rng: np.random.Generator, side_px: int) -> Picture:
    """Loose fibres: much wider and paler than muscle, and bent."""
    along = _across(rng, side_px) / rng.uniform(26, 36) + 0.5 * noise(rng, side_px, 50)
    return filled(side_px, (238, 208, 226)) + 9 * np.sin(2 * np.pi * along)[..., None].astype(np.float32)


def _debris(rng: np.random.Generator, side_px: int) -> Picture:
    return _grained(rng, side_px, (165, 120, 130), 32, 4)


def _mucous(rng: np.random.Generator, side_px: int) -> Picture:
    return _grained(rng, side_px, (200, 210, 232), 10, 24)


def _adipose(rng: np.random.Generator, side_px: int) -> Picture:
    """Thin walls where the two nearest of some scattered points are equally near."""
    count = max(4, side_px**2 // 1700)
    points = rng.uniform(-20, side_px + 20, (count, 2)).astype(np.float32)
    y, x = np.mgrid[:side_px, :side_px].astype(np.float32)
    distance = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1])
    nearest = np.partition(distance, 1, axis=-1)
    wall = np.clip(2.5 - 0.5 * (nearest[..., 1] - nearest[..., 0]), 0, 1)[..., None]
    return filled(side_px, (246, 244, 247)) * (1 - wall) + filled(side_px, (215, 130, 165)) * wall


TEXTURES: dict[str, Callable[[np.random.Generator, int], Picture]] = {
    "background": _background,
    "abnormal-epithelium": _abnormal,
    "normal-epithelium": _normal,
    "inflammatory": _inflammatory,
    "muscle": _muscle,
    "stroma": _stroma,
    "debris": _debris,
    "mucous": _mucous,
    "adipose": _adipose,
}
"""By class of the patch head."""


def _across(rng: np.random.Generator, side_px: int) -> npt.NDArray[np.float32]:
    """Distance in pixels along a random direction."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:side_px, :side_px]
    return np.asarray(x * np.cos(angle) + y * np.sin(angle), np.float32)


def _grained(
    rng: np.random.Generator, side_px: int, colour: Colour, contrast: float, grain_px: float
) -> Picture:
    return filled(side_px, colour) + np.float32(contrast) * noise(rng, side_px, grain_px)[..., None]


def _dotted(
    rng: np.random.Generator, picture: Picture, radius_px: tuple[float, float], room: float, colour: Colour
) -> Picture:
    """Discs that are at least `room` times their diameter apart from each other."""
    side_px, placed = len(picture), np.zeros((0, 3))
    for _ in range(int(1.5 * side_px**2 / radius_px[0] ** 2)):
        x, y, radius = *rng.uniform(0, side_px, 2), rng.uniform(*radius_px)
        if (np.hypot(placed[:, 0] - x, placed[:, 1] - y) > room * (placed[:, 2] + radius)).all():
            placed = np.vstack([placed, (x, y, radius)])
            paint(picture, Shape(x, y, radius, radius * rng.uniform(0.8, 1), rng.uniform(0, np.pi)), colour)
    return picture
