"""The maps of one window and head as a file: a chunk of a Zarr v3 array; what is only background is no file.

The library reads them; writing and reading here is one call each to the compressor and the disk, which is
faster. The ledger keeps size and CRC-32 of every file, and a chunk is read only against them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.core.errors import OutputError
from histocerb.inference.atomic import replace_file

DESCRIPTION_FILE = "zarr.json"
Print = tuple[int, int]
"""Size and CRC-32 of a file."""

_LEVEL = 1
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_ZSTD = {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": False}}
_KEYS = {"name": "v2", "configuration": {"separator": "."}}


@dataclass(frozen=True)
class MapArray:
    """A Zarr v3 array of maps.

    Attributes:
        shape: [channels,] height and width of all.
        chunk: the same of a chunk.
        dtype: float32, whose background is NaN, or uint8.
        attributes: what its reader should know.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: npt.DTypeLike
    attributes: Mapping[str, Any] = field(default_factory=dict)


def chunk_name(row: int, column: int, dimensions: int) -> str:
    """File of the chunk in that row and column of an array of 2 dimensions, or 3 whose first are channels."""
    return f"{row}.{column}" if dimensions == 2 else f"0.{row}.{column}"


def place_name(chunk: str) -> str:
    """R-C, the name of a chunk's window, from the name of its file."""
    return "-".join(chunk.split(".")[-2:])


def describe(folder: Path, array: MapArray) -> None:
    """Write the description of the array whose chunks are in a folder."""
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(array.shape),
        "data_type": np.dtype(array.dtype).name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(array.chunk)}},
        "chunk_key_encoding": _KEYS,
        "fill_value": "NaN" if np.dtype(array.dtype).kind == "f" else 0,
        "codecs": [_BYTES, _ZSTD],
        "dimension_names": ["channel", "y", "x"][-len(array.shape) :],
        "attributes": dict(array.attributes),
    }
    replace_file(folder / DESCRIPTION_FILE, json.dumps(document).encode())


def described(folder: Path) -> MapArray:
    """The array in a folder, as `describe` has written it.

    Raises:
        OutputError: It is another one, or damaged.
    """
    try:
        found = json.loads((folder / DESCRIPTION_FILE).read_bytes())
        chunk = tuple(map(int, found["chunk_grid"]["configuration"]["chunk_shape"]))
        array = MapArray(
            tuple(map(int, found["shape"])), chunk, np.dtype(found["data_type"]), found["attributes"]
        )
        is_ours = found["codecs"] == [_BYTES, _ZSTD] and found["chunk_key_encoding"] == _KEYS
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"expected maps in {folder}, found a damaged description ({error})") from error
    if not is_ours or len(array.shape) != len(chunk) or array.dtype not in (np.uint8, np.float32):
        raise OutputError(f"expected maps of histocerb in {folder}, found an array that is stored otherwise")
    return array


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
    return unpacked(content, shape, dtype) if print_of(content) == expected else None


def unpacked(content: bytes, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The array that the content of a chunk's file holds."""
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
