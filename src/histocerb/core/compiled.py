"""Machine code for loops over pixels: a typed front for numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
T = TypeVar("T")


def compiled(
    function: Callable[P, T], *, error_model: Literal["python", "numpy"] = "python"
) -> Callable[P, T]:
    """Compile at the first call, and release the GIL while it runs.

    The machine code is kept beside the source or in the user's cache; where neither can be written, every
    process compiles anew.

    Args:
        function: of numbers and arrays.
        error_model: `python`, or `numpy`, in which a division by 0 gives infinity.
    """
    try:
        jit = numba.njit(cache=True, nogil=True, error_model=error_model)(function)
    except RuntimeError:  # no folder for the cache
        jit = numba.njit(nogil=True, error_model=error_model)(function)
    return cast("Callable[P, T]", jit)


def folder() -> str | None:
    """Where machine code is kept; None where it cannot be."""
    path: str | None = compiled(lambda: None).stats.cache_path  # type: ignore[attr-defined]
    return path
