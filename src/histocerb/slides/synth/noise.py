"""Hashes and smooth noise of absolute positions: the only source of chance inside a synthetic slide.

Everything is a pure function of (seed, position), so that a region has the same content whatever the cut.
Seeds are non-negative int64; `mix` derives independent streams from one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from histocerb.core.compiled import compiled as machine_code

P = ParamSpec("P")
T = TypeVar("T")
Floats = npt.NDArray[np.float64]

_K1 = np.uint64(0x9E3779B97F4A7C15)
_K2 = np.uint64(0xC2B2AE3D27D4EB4F)
_K3 = np.uint64(0xFF51AFD7ED558CCD)
_K4 = np.uint64(0xC4CEB9FE1A85EC53)
_S33 = np.uint64(33)
_S29 = np.uint64(29)
_S11 = np.uint64(11)
_TO_UNIT = 1.0 / 9007199254740992.0


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Machine code in which a division by 0 gives infinity."""
    return machine_code(function, error_model="numpy")


@compiled
def uniform(seed: int, x: int, y: int) -> float:
    """A number in [0, 1) for the integer position (x, y)."""
    h = np.uint64(seed) * _K4 + np.uint64(x) * _K1 + np.uint64(y) * _K2
    h = (h ^ (h >> _S33)) * _K3
    h = (h ^ (h >> _S29)) * _K4
    h = h ^ (h >> _S33)
    return float(h >> _S11) * _TO_UNIT


@compiled
def mix(seed: int, x: int, y: int) -> int:
    """A new seed for the position (x, y), below 2**52 so that a float64 holds it."""
    return int(uniform(seed, x, y) * 4.0e15)


@compiled
def _gradient(seed: int, i: int, j: int) -> tuple[float, float]:
    """Two components in [-1, 1] for a lattice point."""
    u = uniform(seed, i, j) * 1048576.0
    whole = np.floor(u)
    return whole / 524288.0 - 1.0, 2.0 * (u - whole) - 1.0


@compiled
def smooth(memory: Floats, seed: int, x: float, y: float) -> float:
    """Smooth noise in about [-1, 1] with a lattice of side 1 (gradient noise).

    Args:
        memory: 10 numbers that keep the gradients of the last lattice cell; neighbouring positions then
            cost no hashing. One row of `lattice_memory` per seed; the result does not depend on it.
        seed: of this noise.
        x: position.
        y: position.
    """
    fx, fy = np.floor(x), np.floor(y)
    if memory[0] != fx or memory[1] != fy:
        i, j = int(fx), int(fy)
        memory[0], memory[1] = fx, fy
        memory[2], memory[3] = _gradient(seed, i, j)
        memory[4], memory[5] = _gradient(seed, i + 1, j)
        memory[6], memory[7] = _gradient(seed, i, j + 1)
        memory[8], memory[9] = _gradient(seed, i + 1, j + 1)
    dx, dy = x - fx, y - fy
    u = dx * dx * (3.0 - 2.0 * dx)
    v = dy * dy * (3.0 - 2.0 * dy)
    top = (memory[2] * dx + memory[3] * dy) * (1.0 - u) + (memory[4] * (dx - 1.0) + memory[5] * dy) * u
    low = memory[6] * dx + memory[7] * (dy - 1.0)
    low = low * (1.0 - u) + (memory[8] * (dx - 1.0) + memory[9] * (dy - 1.0)) * u
    return float(1.6 * (top * (1.0 - v) + low * v))


@compiled
def lattice_memory(count: int) -> Floats:
    """Memory for `count` noises, see `smooth`; each noise needs a row of its own."""
    return np.full((count, 10), np.nan)


@compiled
def noise(seed: int, x: float, y: float) -> float:
    """Smooth noise as `smooth`, without memory, for single positions."""
    return smooth(np.full(10, np.nan), seed, x, y)
