"""The head maps of a slide on disk, written window by window, read by region.

One Zarr array per head; a chunk is what one window gives, and chunks of background are absent. A window
counts as complete when its marker file exists, which is written after all its chunks: what is on disk is the
ledger.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import LocalStore

from histocerb.core.errors import OutputError
from histocerb.core.geometry import Region, Window, WindowGrid
from histocerb.core.tasks import HeadKind, TaskSpec
from histocerb.inference.layers import Layer, layers, stored_maps

CACHED_CHUNKS = 48
"""Decoded chunks in memory: 2 MB each for the instance head of a full window."""


class Canvas:
    """Sparse maps of one slide; safe to use from several threads.

    Attributes:
        grid: the windows of the slide.
    """

    def __init__(self, folder: Path, spec: TaskSpec, grid: WindowGrid) -> None:
        self.grid = grid
        self._markers = folder / "windows"
        self._markers.mkdir(parents=True, exist_ok=True)
        self._complete = {path.name for path in self._markers.iterdir()}
        self._layers = layers(spec)
        self._arrays = {
            name: _open_array(folder / "maps" / name, layer, grid) for name, layer in self._layers.items()
        }
        self._cache: OrderedDict[tuple[str, int, int], npt.NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def is_complete(self, window: Window) -> bool:
        """True when every map of the window is on disk."""
        return _marker(window) in self._complete

    def write(self, window: Window, maps: Mapping[str, npt.NDArray[Any]]) -> None:
        """Store the maps of one window, as a `Predictor` gives them, then its marker."""
        stored = stored_maps(maps, self._layers, window.output, self.grid.bounds)
        for name, array in self._arrays.items():
            array[_chunk_slices(array, window.column, window.row)] = stored[name]
        marker = self._markers / _marker(window)
        temporary = self._markers.parent / f"{marker.name}.partial"
        temporary.write_bytes(b"")
        os.replace(temporary, marker)
        self._complete.add(marker.name)

    def bounds(self, head_name: str) -> Region:
        """The slide in stored pixels of a head."""
        reduction = self._layers[head_name].reduction
        return Region(0, 0, -(-self.grid.width // reduction), -(-self.grid.height // reduction))

    def read(self, head_name: str, region: Region) -> npt.NDArray[Any]:
        """Maps of a region in stored pixels; zero outside the slide and where nothing was predicted.

        Returns:
            height x width [x channels], uint8.
        """
        array = self._arrays[head_name]
        out = np.zeros((region.height, region.width, *array.shape[2:]), array.dtype)
        inside = region.intersect(self.bounds(head_name))
        side = array.chunks[0]
        for row in range(inside.y // side, -(-inside.bottom // side)):
            for column in range(inside.x // side, -(-inside.right // side)):
                chunk = Region(column * side, row * side, side, side)
                part = chunk.intersect(inside)
                if not part.is_empty:
                    out[part.slices(region)] = self._chunk(head_name, column, row)[part.slices(chunk)]
        return out

    def tissue(self, head_name: str) -> npt.NDArray[np.float32]:
        """Rows x columns x C probabilities of the cells of the slide; NaN where not predicted."""
        bounds = self.bounds(head_name)
        cells: npt.NDArray[np.float32] = np.asarray(self._arrays[head_name][: bounds.height, : bounds.width])
        return cells

    def _chunk(self, name: str, column: int, row: int) -> npt.NDArray[Any]:
        key = (name, column, row)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        array = self._arrays[name]
        try:
            chunk = np.asarray(array[_chunk_slices(array, column, row)])
        except (ValueError, RuntimeError) as error:
            raise OutputError(
                f"expected the maps of window {column}, {row}, found a damaged file below {array.store}; "
                "delete that folder and run histocerb segment again"
            ) from error
        with self._lock:
            self._cache[key] = chunk
            while len(self._cache) > CACHED_CHUNKS:
                self._cache.popitem(last=False)
        return chunk


def _open_array(folder: Path, layer: Layer, grid: WindowGrid) -> Any:
    """The array of one head; created when it is not there."""
    side = grid.output_px // layer.reduction
    channels = (layer.channels,) if layer.channels else ()
    is_patch = layer.head.kind is HeadKind.PATCH
    if (folder / "zarr.json").exists():
        return zarr.open_array(LocalStore(folder), mode="r+", config={"write_empty_chunks": False})
    return zarr.create_array(
        LocalStore(folder),
        shape=(grid.rows * side, grid.columns * side, *channels),
        chunks=(side, side, *channels),
        dtype="float32" if is_patch else "uint8",
        compressors=[BloscCodec(cname="zstd", clevel=1, typesize=1, shuffle="noshuffle"), Crc32cCodec()],
        fill_value=float("nan") if is_patch else 0,
        config={"write_empty_chunks": False},
    )


def _chunk_slices(array: Any, column: int, row: int) -> tuple[slice, slice]:
    side = array.chunks[0]
    return slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)


def _marker(window: Window) -> str:
    return f"{window.row}-{window.column}"
