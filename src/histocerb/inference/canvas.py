"""The head maps of a slide on disk, written window by window, read by region.

One Zarr array per head; a chunk is what one window gives, and chunks of background are absent. `ledger` tells
which windows are complete. Whatever is read is compared with what was written: by the checksum within each
chunk, and by the ledger, which knows the chunks that must be there. A difference is `DamagedMapsError`, after
which the window counts as not done.
"""

from __future__ import annotations

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
from histocerb.inference.ledger import Ledger, Place

CACHED_CHUNKS = 48
"""Decoded chunks in memory: 2 MB each for the instance head of a full window."""


class DamagedMapsError(OutputError):
    """Maps that were written are gone or changed; their window is no longer complete."""


class Canvas:
    """Sparse maps of one slide; safe to use from several threads.

    Attributes:
        grid: the windows of the slide.
    """

    def __init__(self, folder: Path, spec: TaskSpec, grid: WindowGrid) -> None:
        self.grid = grid
        self._folder = folder / "maps"
        self._layers = layers(spec)
        self._arrays = {
            name: _open_array(self._folder / name, layer, grid) for name, layer in self._layers.items()
        }
        self._ledger = Ledger(folder / "windows", self._layers, self._chunk_file)
        self._cache: OrderedDict[tuple[str, Place], npt.NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def is_complete(self, window: Window) -> bool:
        """True when every map of the window is on disk, as it was written."""
        return window in self._ledger

    def write(self, window: Window, maps: Mapping[str, npt.NDArray[Any]]) -> None:
        """Store the maps of one window, as a `Predictor` gives them, then its marker."""
        stored = stored_maps(maps, self._layers, window.output, self.grid.bounds)
        for name, array in self._arrays.items():
            array[_chunk_slices(array, (window.column, window.row))] = stored[name]
        self._ledger.add(window)

    def bounds(self, head_name: str) -> Region:
        """The slide in stored pixels of a head."""
        reduction = self._layers[head_name].reduction
        return Region(0, 0, -(-self.grid.width // reduction), -(-self.grid.height // reduction))

    def read(self, head_name: str, region: Region) -> npt.NDArray[Any]:
        """Maps of a region in stored pixels; zero outside the slide and where nothing was predicted.

        Returns:
            height x width [x channels], uint8.

        Raises:
            DamagedMapsError: maps are not as they were written.
        """
        array = self._arrays[head_name]
        out = np.zeros((region.height, region.width, *array.shape[2:]), array.dtype)
        inside = region.intersect(self.bounds(head_name))
        side = array.chunks[0]
        for row in range(inside.y // side, -(-inside.bottom // side)):
            for column in range(inside.x // side, -(-inside.right // side)):
                chunk = Region(column * side, row * side, side, side)
                part = chunk.intersect(inside)
                if not part.is_empty and self._ledger.has_maps(head_name, (column, row)):
                    found = self._cached_chunk(head_name, (column, row))
                    out[part.slices(region)] = found[part.slices(chunk)]
        return out

    def tissue(self, head_name: str) -> npt.NDArray[np.float32]:
        """Rows x columns x C probabilities of the cells of the slide; NaN where not predicted.

        Raises:
            DamagedMapsError: maps are not as they were written.
        """
        array = self._arrays[head_name]
        cells = np.full(array.shape, np.nan, np.float32)
        for place in self._ledger.places():
            if self._ledger.has_maps(head_name, place):
                cells[_chunk_slices(array, place)] = self._chunk(head_name, place)
        bounds = self.bounds(head_name)
        return cells[: bounds.height, : bounds.width]

    def _cached_chunk(self, name: str, place: Place) -> npt.NDArray[Any]:
        key = (name, place)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        chunk = self._chunk(name, place)
        with self._lock:
            self._cache[key] = chunk
            while len(self._cache) > CACHED_CHUNKS:
                self._cache.popitem(last=False)
        return chunk

    def _chunk(self, name: str, place: Place) -> npt.NDArray[Any]:
        """A chunk that the ledger knows to be on disk, and not to be background."""
        array = self._arrays[name]
        try:
            chunk = np.asarray(array[_chunk_slices(array, place)])
        except (ValueError, RuntimeError) as error:
            raise self._damaged(name, place) from error
        is_background = np.isnan(chunk).all() if chunk.dtype.kind == "f" else not chunk.any()
        if is_background:  # that is what Zarr gives for a file that is gone
            raise self._damaged(name, place)
        return chunk

    def _damaged(self, name: str, place: Place) -> DamagedMapsError:
        self._ledger.forget(place)
        return DamagedMapsError(
            f"expected the maps of window {place[0]}, {place[1]} as they were written, found "
            f"{self._chunk_file(name, place)} damaged or gone; run the same command again, which computes "
            "this window anew, and look after the disk if it happens again"
        )

    def _chunk_file(self, name: str, place: Place) -> Path:
        array = self._arrays[name]
        position = (place[1], place[0], *[0] * (len(array.shape) - 2))
        key: str = array.metadata.encode_chunk_key(position)
        return self._folder / name / key


def _open_array(folder: Path, layer: Layer, grid: WindowGrid) -> Any:
    """The array of one head.

    Its description is a function of the head and the grid, and is written anew each time: what stands there
    may be damaged. Chunks stay.
    """
    side = grid.output_px // layer.reduction
    channels = (layer.channels,) if layer.channels else ()
    is_patch = layer.head.kind is HeadKind.PATCH
    (folder / "zarr.json").unlink(missing_ok=True)
    return zarr.create_array(
        LocalStore(folder),
        shape=(grid.rows * side, grid.columns * side, *channels),
        chunks=(side, side, *channels),
        dtype="float32" if is_patch else "uint8",
        compressors=[BloscCodec(cname="zstd", clevel=1, typesize=1, shuffle="noshuffle"), Crc32cCodec()],
        fill_value=float("nan") if is_patch else 0,
        config={"write_empty_chunks": False},
    )


def _chunk_slices(array: Any, place: Place) -> tuple[slice, slice]:
    side, (column, row) = array.chunks[0], place
    return slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
