"""Head maps that were kept, as tiles: the colour of a channel, as opaque as its probability."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.colours import CLASS_COLOURS, UNKNOWN_COLOUR, Rgb
from histocerb.core.errors import OutputError, UsageError
from histocerb.core.geometry import Region
from histocerb.core.tasks import Head, HeadKind
from histocerb.inference.chunks import DESCRIPTION_FILE
from histocerb.inference.kept_maps import COARSE, MAPS_FOLDER, are_kept, class_planes
from histocerb.inference.manifest import tasks_of
from histocerb.inference.map_reader import StoredMaps, stored_maps
from histocerb.slides.resample import resample, taps
from histocerb.web.opened import Entry
from histocerb.web.pictures import TILE_PX, Picture
from histocerb.web.results import own_file

_INSTANCE_COLOURS: dict[str, Rgb] = {"inside": (255, 221, 51), "contour": (0, 92, 230)}

Planes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Channels:
    """What of a head is shown.

    Attributes:
        head: the head.
        numbers: of its channels; several are mixed in their colours.
        shades: per channel of the head, its colour.
    """

    head: Head
    numbers: tuple[int, ...]
    shades: tuple[Rgb, ...]


def kept_heads(entry: Entry) -> list[Head]:
    """The heads whose maps a result has; none where they were not kept."""
    if not are_kept(entry.folder, entry.manifest.key):
        return []
    return list(tasks_of(entry.manifest).heads)


def channel_names(head: Head) -> tuple[str, ...]:
    """The channels of a head that are shown: all but the background."""
    return head.channels[1:]


def channel_colour(name: str) -> Rgb:
    """The colour of a channel: that of the class, or of inside and contour."""
    return _INSTANCE_COLOURS.get(name) or CLASS_COLOURS.get(name, UNKNOWN_COLOUR)


def channels_of(entry: Entry, head_name: str, channel: str) -> Channels:
    """A channel of a head by name, or `all` of them.

    Raises:
        UsageError: There is no such map.
    """
    heads = {head.name: head for head in kept_heads(entry)}
    if head_name not in heads:
        raise UsageError(
            f"expected a head of {', '.join(heads) or 'a result with maps'}, found {head_name!r}"
        )
    names = channel_names(heads[head_name])
    if channel not in (*names, "all"):
        raise UsageError(f"expected a channel of {', '.join(names)}, or all, found {channel!r}")
    numbers = tuple(n for n, name in enumerate(names) if channel in (name, "all"))
    return Channels(heads[head_name], numbers, tuple(map(channel_colour, names)))


def map_tile(entry: Entry, channels: Channels, place: tuple[int, int, int]) -> Picture:
    """RGBA picture of maps in a tile of the slide's pyramid.

    Where a pixel of the picture covers several of the map it is their mean; where the map is coarser, its
    pixels are shown as squares.

    Args:
        entry: the result.
        channels: of which head.
        place: level, column and row of the tile; level n has one pixel for 2**n of the slide.

    Raises:
        OutputError: The maps are damaged.
    """
    level, column, row = place
    width, height = (-(-int(entry.manifest.slide[side]) // 2**level) for side in ("width_px", "height_px"))
    whole = Region(column * TILE_PX, row * TILE_PX, TILE_PX, TILE_PX)
    part = whole.intersect(Region(0, 0, width, height))
    picture = np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
    if not part.is_empty:
        maps, ratio = _fitting(entry.folder, channels.head, 2.0**level)
        sums = _sampled(maps, channels, part, ratio).astype(np.float32)
        shades = np.array([channels.shades[number] for number in channels.numbers], np.float32)
        weight = sums.sum(axis=2, keepdims=True)
        colour = (sums @ shades) / np.maximum(weight, 1)
        picture[part.slices(whole)] = np.concatenate([np.rint(colour), np.minimum(weight, 255)], axis=2)
    return picture


def _fitting(folder: Path, head: Head, step: float) -> tuple[StoredMaps, float]:
    """The coarsest maps that are no coarser than wanted, and how many of their pixels a wanted one spans.

    Args:
        folder: of the result.
        head: whose maps.
        step: level-0 pixels per wanted pixel.
    """
    root = f"{MAPS_FOLDER}/{COARSE}"
    factors = sorted(int(path.name) for path in (folder / root).glob("[0-9]*") if path.name.isdigit())
    found = _opened(folder, f"{MAPS_FOLDER}/{head.name}")
    ratio = step / _level0_px(found)
    for factor in factors:
        name = f"{root}/{factor}/{head.name}"
        if ratio < factor or not (folder / name).is_dir():
            break
        found = _opened(folder, name)
    return found, step / _level0_px(found)


def _opened(folder: Path, name: str) -> StoredMaps:
    """Maps that really lie in the folder of a result."""
    return stored_maps(own_file(folder, f"{name}/{DESCRIPTION_FILE}").parent)


def _level0_px(maps: StoredMaps) -> float:
    found = maps.array.attributes.get("level0_px")
    if not isinstance(found, int | float) or not found > 0:
        raise OutputError(
            f"expected maps with level0_px in {maps.folder}, found {found!r}; compute them again"
        )
    return float(found)


def _sampled(maps: StoredMaps, channels: Channels, part: Region, ratio: float) -> Planes:
    """Height x width x chosen channels of a part of the picture."""
    bounds = maps.bounds
    if ratio < 1:
        rows, columns = (
            np.clip(((np.arange(begin, end) + 0.5) * ratio).astype(int), 0, size - 1)
            for begin, end, size in (
                (part.y, part.bottom, bounds.height),
                (part.x, part.right, bounds.width),
            )
        )
        x, y = int(columns[0]), int(rows[0])
        planes = _planes(maps, channels, Region(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y))
        return np.asarray(planes[rows[:, None] - y, columns[None, :] - x])
    across = taps(part.x, part.right, ratio, bounds.width)
    down = taps(part.y, part.bottom, ratio, bounds.height)
    source = Region(across.first, down.first, across.stop - across.first, down.stop - down.first)
    planes = _planes(maps, channels, source)
    count = planes.shape[2]
    padded = np.pad(planes, [(0, 0), (0, 0), (0, -count % 3)])
    parts = [resample(padded[..., n : n + 3], down, across) for n in range(0, count, 3)]
    return np.concatenate(parts, axis=2)[..., :count]


def _planes(maps: StoredMaps, channels: Channels, region: Region) -> Planes:
    """Height x width x chosen channels as bytes, 255 for certain."""
    found: npt.NDArray[Any] = maps.read(region)
    first = 1 if channels.head.kind is HeadKind.PATCH else 0
    if found.ndim == 2:
        planes = class_planes(found, [number + 1 for number in channels.numbers])
    else:
        planes = found[[number + first for number in channels.numbers]]
    if planes.dtype != np.uint8:
        planes = np.rint(np.nan_to_num(planes) * 255).astype(np.uint8)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))
