"""The head maps of a slide on disk, written window by window, read by region.

A Zarr v3 array per head, whose chunks are the files of windows (`chunks`), absent where all is background.
`ledger` tells which windows are complete. Whatever is read is compared with what it says was written. A
difference is `DamagedMapsError`, after which the window counts as not done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import OutputError
from histocerb.core.geometry import Region, Window, WindowGrid
from histocerb.core.tasks import HeadKind, TaskSpec
from histocerb.inference.atomic import remove_partial_files
from histocerb.inference.chunks import MapArray, chunk_name, describe, read_chunk, write_chunk
from histocerb.inference.layers import Layer, layers, stored_maps
from histocerb.inference.ledger import Ledger, Place

_CACHE_BYTES = 64 << 20
MAPS = "maps"
"""Of a work folder: where the maps are."""


class DamagedMapsError(OutputError):
    """Maps that were written are gone or changed; their window is no longer complete."""


class Canvas:
    """Sparse maps of one slide; safe to use from several threads.

    Attributes:
        grid: the windows of the slide.
        folder: with an array per head.
        layers: per head, how its maps are stored.
    """

    def __init__(
        self, folder: Path, spec: TaskSpec, grid: WindowGrid, cache_bytes: int = _CACHE_BYTES
    ) -> None:
        """Take up what is in a folder.

        Args:
            folder: work folder; created when missing.
            spec: tasks whose maps are stored.
            grid: the windows of the slide.
            cache_bytes: decoded maps in memory: 2 MB for the instance head of a full window.
        """
        self.grid = grid
        self.folder = folder / MAPS
        self.layers = layers(spec)
        for name in self.layers:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            remove_partial_files(self.folder / name)
            describe(self.folder / name, self.array(name))
        self._ledger = Ledger(folder / "windows", self.layers, self._file)
        self._cache: OrderedDict[tuple[str, Place], npt.NDArray[Any]] = OrderedDict()
        self._cached_bytes, self._cache_bytes = 0, cache_bytes
        self._lock = Lock()

    def array(self, head_name: str) -> MapArray:
        """The Zarr array of a head."""
        layer, bounds = self.layers[head_name], self.bounds(head_name)
        return MapArray((*_channels(layer), bounds.height, bounds.width), self._shape(layer), _dtype(layer))

    def is_complete(self, window: Window) -> bool:
        """True when every map of the window is on disk, as it was written."""
        return window in self._ledger

    def write(self, window: Window, maps: Mapping[str, npt.NDArray[Any]]) -> None:
        """Store the maps of one window, as a `Predictor` gives them, then its marker."""
        stored = stored_maps(maps, self.layers, window.output, self.grid.bounds)
        place = (window.column, window.row)
        self._ledger.add(
            window, {name: write_chunk(self._file(name, place), stored[name]) for name in self.layers}
        )

    def bounds(self, head_name: str) -> Region:
        """The slide in stored pixels of a head."""
        reduction = self.layers[head_name].reduction
        return Region(0, 0, -(-self.grid.width // reduction), -(-self.grid.height // reduction))

    def read(self, head_name: str, region: Region) -> npt.NDArray[np.uint8]:
        """Maps of a region in stored pixels; zero outside the slide and where nothing was predicted.

        Returns:
            height x width [x channels], uint8; each channel is contiguous.

        Raises:
            DamagedMapsError: maps are not as they were written.
        """
        layer = self.layers[head_name]
        out = np.zeros((*_channels(layer), region.height, region.width), np.uint8)
        inside = region.intersect(self.bounds(head_name))
        side = self._side(layer)
        for row in range(inside.y // side, -(-inside.bottom // side)):
            for column in range(inside.x // side, -(-inside.right // side)):
                chunk = Region(column * side, row * side, side, side)
                part = chunk.intersect(inside)
                if not part.is_empty and self._ledger.print_of(head_name, (column, row)) is not None:
                    found = self._cached_chunk(head_name, (column, row))
                    out[..., *part.slices(region)] = found[..., *part.slices(chunk)]
        return out if out.ndim == 2 else out.transpose(1, 2, 0)

    def tissue(self, head_name: str) -> npt.NDArray[np.float32]:
        """Rows x columns x C probabilities of the cells of the slide; NaN where not predicted.

        Raises:
            DamagedMapsError: maps are not as they were written.
        """
        layer = self.layers[head_name]
        side = self._side(layer)
        cells = np.full((self.grid.rows * side, self.grid.columns * side, layer.channels), np.nan, np.float32)
        for column, row in self._ledger.places():
            if self._ledger.print_of(head_name, (column, row)) is not None:
                chunk = Region(column * side, row * side, side, side)
                cells[chunk.slices()] = self._chunk(head_name, (column, row)).transpose(1, 2, 0)
        bounds = self.bounds(head_name)
        return cells[: bounds.height, : bounds.width]

    def _side(self, layer: Layer) -> int:
        return self.grid.output_px // layer.reduction

    def _cached_chunk(self, name: str, place: Place) -> npt.NDArray[Any]:
        key = (name, place)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        chunk = self._chunk(name, place)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = chunk
                self._cached_bytes += chunk.nbytes
            while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
                self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return chunk

    def _chunk(self, name: str, place: Place) -> npt.NDArray[Any]:
        """A chunk that the ledger knows to be on disk."""
        layer = self.layers[name]
        expected = self._ledger.print_of(name, place)
        chunk = read_chunk(self._file(name, place), expected, self._shape(layer), _dtype(layer))
        if chunk is None:
            raise self._damaged(name, place)
        return chunk

    def _damaged(self, name: str, place: Place) -> DamagedMapsError:
        self._ledger.forget(place)
        return DamagedMapsError(
            f"expected the maps of window {place[0]}, {place[1]} as they were written, found "
            f"{self._file(name, place)} damaged or gone; run the same command again, which computes "
            "this window anew, and look after the disk if it happens again"
        )

    def _shape(self, layer: Layer) -> tuple[int, ...]:
        """Of a chunk."""
        return (*_channels(layer), self._side(layer), self._side(layer))

    def _file(self, name: str, place: Place) -> Path:
        column, row = place
        return self.folder / name / chunk_name(row, column, len(self._shape(self.layers[name])))


def _dtype(layer: Layer) -> npt.DTypeLike:
    return np.float32 if layer.head.kind is HeadKind.PATCH else np.uint8


def _channels(layer: Layer) -> tuple[int, ...]:
    return (layer.channels,) if layer.channels else ()
