"""The maps of one window and head as a file: a chunk of a Zarr v3 array; what is only background is no file.

The library reads them; writing and reading here is one call each to the compressor and the disk, which is
faster. The ledger keeps size and CRC-32 of every file, and a chunk is read only against them.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.inference.atomic import replace_file

Print = tuple[int, int]
"""Size and CRC-32 of a file."""

_LEVEL = 1


def chunk_name(row: int, column: int, dimensions: int) -> str:
    """File of the chunk in that row and column of an array of 2 dimensions, or 3 whose first are channels."""
    return f"{row}.{column}" if dimensions == 2 else f"0.{row}.{column}"


def place_name(chunk: str) -> str:
    """R-C, the name of a chunk's window, from the name of its file."""
    return "-".join(chunk.split(".")[-2:])


def describe(folder: Path, chunk: tuple[int, ...], rows: int, columns: int, dtype: npt.DTypeLike) -> None:
    """Write the description of the array whose chunks are in a folder.

    Args:
        folder: of the array.
        chunk: [channels,] height and width of a chunk.
        rows: of chunks.
        columns: of chunks.
        dtype: float32, whose background is NaN, or uint8.
    """
    *channels, height, width = chunk
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*channels, height * rows, width * columns],
        "data_type": np.dtype(dtype).name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
        "fill_value": "NaN" if np.dtype(dtype).kind == "f" else 0,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": False}},
        ],
        "attributes": {},
    }
    replace_file(folder / "zarr.json", json.dumps(document).encode())


def write_chunk(path: Path, values: npt.NDArray[Any]) -> Print | None:
    """Write an array under a temporary name, then rename it; nothing is forced to disk.

    Returns:
        What the file holds; None where all is background (0, or NaN) and there is no file.
    """
    if _is_background(values):
        path.unlink(missing_ok=True)
        return None
    content = pa.Codec("zstd", _LEVEL).compress(np.ascontiguousarray(values).data, asbytes=True)
    replace_file(path, content)
    return print_of(content)


def read_chunk(
    path: Path, expected: Print | None, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> npt.NDArray[Any] | None:
    """The array of a file; None where the file is not the expected one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if print_of(content) != expected:
        return None
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = pa.Codec("zstd").decompress(content, size)
    found: npt.NDArray[Any] = np.frombuffer(memoryview(raw), dtype).reshape(shape)
    return found


def file_print(path: Path) -> Print | None:
    """Size and CRC-32 of a file; None where there is none."""
    try:
        return print_of(path.read_bytes())
    except FileNotFoundError:
        return None


def print_of(content: bytes) -> Print:
    """Size and CRC-32 of what stands in a file."""
    return len(content), zlib.crc32(content)


def _is_background(values: npt.NDArray[Any]) -> bool:
    return bool(np.isnan(values).all()) if values.dtype.kind == "f" else not values.any()
