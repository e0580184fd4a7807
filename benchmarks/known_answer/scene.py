"""What is in a picture and where: glands with their lumina, and nuclei of six looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.known_answer.drawing import Colour, Picture, Shape, paint

STROMA: Colour = (236, 200, 220)
LUMEN: Colour = (247, 244, 247)


@dataclass(frozen=True)
class Look:
    """How nuclei of one class are drawn.

    Attributes:
        long_px, short_px: range of the half axes.
        colour: of the nucleus.
        core: colour and relative size of the inner part, None where it is all one.
        halo: colour of the cell around it, None where it is not seen.
        off_px: how far the cell's centre is from that of the nucleus.
    """

    long_px: tuple[float, float]
    short_px: tuple[float, float]
    colour: Colour
    core: tuple[Colour, float] | None = None
    halo: Colour | None = None
    off_px: float = 0.0


LOOKS: dict[str, Look] = {
    "neutrophil": Look((7.0, 8.5), (6.5, 7.5), (55, 50, 125), core=((215, 205, 235), 0.45)),
    "epithelial": Look((8.5, 10.0), (8.0, 9.0), (90, 60, 150), core=((165, 135, 200), 0.72)),
    "lymphocyte": Look((6.5, 7.5), (6.0, 7.0), (70, 35, 110)),
    "plasma": Look((7.0, 8.0), (6.5, 7.5), (95, 55, 150), halo=(165, 150, 205), off_px=4.0),
    "eosinophil": Look((7.0, 8.0), (6.5, 7.5), (95, 55, 150), halo=(225, 95, 105)),
    "connective": Look((11.0, 14.0), (4.5, 5.5), (100, 75, 165)),
}
"""By class of the nuclear type head."""

IN_GLANDS = "epithelial"
"""The class of the nuclei that line glands; all others lie in the stroma."""

GLANDS: dict[str, Colour] = {"gland": (205, 150, 195), "surface-epithelium": (222, 140, 135)}
"""Colour by class of the gland type head. Surface epithelium has no lumen."""

HOLLOW = "gland"
_LUMEN_SHARE = 0.4
_NUCLEI_SHARE = 0.71


@dataclass(frozen=True)
class Gland:
    """A gland and its class."""

    shape: Shape
    name: str

    @property
    def lumen(self) -> Shape | None:
        """The hole in it."""
        return self.shape.scaled(_LUMEN_SHARE) if self.name == HOLLOW else None


@dataclass(frozen=True)
class Nucleus:
    """A nucleus and its class."""

    shape: Shape
    name: str


def place_glands(rng: np.random.Generator, side_px: int) -> list[Gland]:
    """Glands that do not touch, some cut by the border; about one per 128 x 128 px."""
    found: list[Gland] = []
    for _ in range(side_px**2 // 600):
        short = rng.uniform(38, 48)
        name = list(GLANDS)[int(rng.random() < 0.3)]
        long = short * (rng.uniform(1.0, 1.25) if name == HOLLOW else rng.uniform(1.4, 1.7))
        waves = tuple((rng.uniform(0, 0.05), n, rng.uniform(0, 2 * np.pi)) for n in (2, 3, 5))
        x, y = rng.uniform(0, side_px, 2)
        shape = Shape(x, y, long, short, rng.uniform(0, np.pi), waves)
        if all(_apart(shape, other.shape, 14) for other in found):
            found.append(Gland(shape, name))
    return found


def place_nuclei(rng: np.random.Generator, side_px: int, glands: list[Gland]) -> list[Nucleus]:
    """A ring of nuclei in every gland, the other classes between the glands; none touch."""
    found = [nucleus for gland in glands for nucleus in _lining(rng, gland)]
    count = dict.fromkeys([name for name in LOOKS if name != IN_GLANDS], 0)
    for _ in range(side_px**2 // 60):
        name = min(count, key=lambda name: (count[name], rng.random()))
        x, y = rng.uniform(0, side_px, 2)
        shape = _nucleus(rng, LOOKS[name], x, y, rng.uniform(0, np.pi))
        free = all(_apart(shape, gland.shape, 5) for gland in glands)
        room = 10 if LOOKS[name].halo else 5
        if free and all(_apart(shape, other.shape, room) for other in found):
            found.append(Nucleus(shape, name))
            count[name] += 1
    return found


def draw_gland(picture: Picture, gland: Gland) -> None:
    """The gland, then the hole in it."""
    paint(picture, gland.shape, GLANDS[gland.name])
    if gland.lumen is not None:
        paint(picture, gland.lumen, LUMEN)


def draw_nucleus(rng: np.random.Generator, picture: Picture, nucleus: Nucleus) -> None:
    """The cell around it where it is seen, the nucleus, its inner part."""
    look, shape = LOOKS[nucleus.name], nucleus.shape
    if look.halo is not None:
        turn = rng.uniform(0, 2 * np.pi)
        x, y = shape.x + look.off_px * np.cos(turn), shape.y + look.off_px * np.sin(turn)
        paint(picture, Shape(x, y, shape.long_px + 4, shape.short_px + 4, shape.angle), look.halo)
    paint(picture, shape, look.colour)
    if look.core is not None:
        paint(picture, shape.scaled(look.core[1]), look.core[0])


def _lining(rng: np.random.Generator, gland: Gland) -> list[Nucleus]:
    """Nuclei halfway between outline and lumen, evenly spread, their long axis outwards."""
    around = 2 * np.pi * _NUCLEI_SHARE * gland.shape.short_px
    count = int(around / 24)
    first = rng.uniform(0, 2 * np.pi)
    nuclei = []
    for number in range(count):
        turn = first + 2 * np.pi * number / count
        x, y = gland.shape.at(turn, _NUCLEI_SHARE + rng.uniform(-0.02, 0.02))
        outwards = np.arctan2(y - gland.shape.y, x - gland.shape.x)
        nuclei.append(Nucleus(_nucleus(rng, LOOKS[IN_GLANDS], x, y, float(outwards)), IN_GLANDS))
    return nuclei


def _nucleus(rng: np.random.Generator, look: Look, x: float, y: float, angle: float) -> Shape:
    return Shape(x, y, rng.uniform(*look.long_px), rng.uniform(*look.short_px), angle)


def _apart(one: Shape, other: Shape, room_px: float) -> bool:
    """Whether circles around both have that room between them."""
    reach = one.long_px * (1 + _swing(one)) + other.long_px * (1 + _swing(other))
    return float(np.hypot(one.x - other.x, one.y - other.y)) > reach + room_px


def _swing(shape: Shape) -> float:
    return sum(wave[0] for wave in shape.waves)
