"""Maps that were kept with a result, read by region; `kept_maps` says how they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from histocerb.core.errors import OutputError
from histocerb.core.geometry import Region
from histocerb.inference.chunks import MapArray, chunk_name, described, unpacked


@dataclass(frozen=True)
class StoredMaps:
    """An array of maps on disk.

    Attributes:
        folder: of the array.
        array: how it is stored.
    """

    folder: Path
    array: MapArray

    @property
    def bounds(self) -> Region:
        """All of it."""
        height, width = self.array.shape[-2:]
        return Region(0, 0, width, height)

    def read(self, region: Region) -> npt.NDArray[Any]:
        """[Channels x] height x width values of a region; background outside and where nothing was stored.

        Raises:
            OutputError: A chunk is damaged.
        """
        *channels, height, width = self.array.chunk
        background = np.nan if np.dtype(self.array.dtype).kind == "f" else 0
        out = np.full((*channels, region.height, region.width), background, self.array.dtype)
        inside = region.intersect(self.bounds)
        if inside.is_empty:
            return out
        for row in range(inside.y // height, -(-inside.bottom // height)):
            for column in range(inside.x // width, -(-inside.right // width)):
                found = self._chunk(row, column)
                if found is not None:
                    chunk = Region(column * width, row * height, width, height)
                    part = chunk.intersect(inside)
                    out[..., *part.slices(region)] = found[..., *part.slices(chunk)]
        return out

    def _chunk(self, row: int, column: int) -> npt.NDArray[Any] | None:
        """A chunk; None where all is background."""
        path = self.folder / chunk_name(row, column, len(self.array.chunk))
        if not path.exists():
            return None
        try:
            if path.is_symlink():
                raise ValueError("a link to another place")
            return unpacked(path.read_bytes(), self.array.chunk, self.array.dtype)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise OutputError(
                f"expected maps in {path}, found a damaged file; run histocerb segment with --keep-maps "
                "and --overwrite"
            ) from error


def stored_maps(folder: Path) -> StoredMaps:
    """The array in a folder.

    Raises:
        OutputError: There is none, or it is damaged.
    """
    return StoredMaps(folder, described(folder))
