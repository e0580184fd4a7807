"""What a slide is recognised by when a run is resumed: its content, not its name or date."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import numpy.typing as npt

_BLOCK_BYTES = 1 << 16
_MIDDLE_BLOCKS = 6


def file_fingerprint(path: str, width: int, height: int, extra: str = "") -> str:
    """Hash of a file's size, head, tail and some blocks between, and of the level-0 size.

    Args:
        path: the file.
        width: of level 0 in pixels.
        height: of level 0 in pixels.
        extra: what else identifies the content where the file is only an index of others.

    Returns:
        32 hexadecimal digits.
    """
    size = os.path.getsize(path)
    digest = hashlib.blake2b(f"{size} {width} {height} {extra}".encode(), digest_size=16)
    with open(path, "rb") as file:
        steps = _MIDDLE_BLOCKS + 1
        for step in range(steps + 1):
            file.seek(max(0, size - _BLOCK_BYTES) * step // steps)
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()


def array_fingerprint(pixels: npt.NDArray[np.uint8]) -> str:
    """Hash of all pixels and the shape, 32 hexadecimal digits."""
    digest = hashlib.blake2b(f"array {pixels.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
