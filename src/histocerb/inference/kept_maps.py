"""Head maps that stay with a result: `maps.zarr`, a Zarr v3 group.

```
maps.zarr/<head>               the maps that objects were made from, a chunk per window
maps.zarr/coarse/<N>/<head>    means of N x N of their pixels (4, 16, 64, ...): looks at the whole of a slide
```

The maps of the work folder are described once more, this time with all that a reader should know, coarser
ones are added, and the folder is moved to its place in one step when the results are there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.geometry import Region, tiles
from histocerb.core.tasks import HeadKind
from histocerb.inference.atomic import replace_file, sync_folder
from histocerb.inference.canvas import MAPS, Canvas
from histocerb.inference.chunks import DESCRIPTION_FILE, MapArray, chunk_name, describe, write_chunk
from histocerb.inference.layers import Layer
from histocerb.inference.manifest import Manifest
from histocerb.inference.map_reader import stored_maps
from histocerb.postproc.maps import reduce_mean

MAPS_FOLDER = "maps.zarr"
COARSE = "coarse"
COARSER = 4
"""Between two levels, per side."""
_COARSE_CHUNK_PX = 512
_FULL = 255

Planes = npt.NDArray[np.uint8]


def complete(canvas: Canvas, manifest: Manifest) -> None:
    """Make the maps of a work folder, all written, what is kept.

    Args:
        canvas: the maps.
        manifest: of the slide.

    Raises:
        DamagedMapsError: maps are not as they were written.
    """
    shutil.rmtree(canvas.folder / COARSE, ignore_errors=True)
    sizes = {}
    for name, layer in canvas.layers.items():
        about = _about(name, layer, manifest, layer.reduction)
        describe(canvas.folder / name, replace(canvas.array(name), attributes=about))
        if layer.head.kind is not HeadKind.PATCH:
            sizes[name] = _write_coarse(canvas, name, layer, manifest)
    for folder in (canvas.folder / COARSE, *(canvas.folder / COARSE).glob("*")):
        folder.mkdir(exist_ok=True)
        _describe_group(folder, {})
    slide = manifest.slide
    about = {
        "format": 1,
        "key": manifest.key,
        "slide": slide["fingerprint"],
        "model": manifest.model["sha256"],
        "width_px": slide["width_px"],
        "height_px": slide["height_px"],
        "mpp": slide["mpp"],
        "heads": list(canvas.layers),
        "coarse": {name: levels for name, levels in sizes.items() if levels},
    }
    _describe_group(canvas.folder, about)


def keep(work: Path, folder: Path) -> None:
    """Move complete maps beside the results, forced to disk.

    Args:
        work: work folder of the slide.
        folder: of the result.
    """
    for path in (work / MAPS).rglob("*"):
        if path.is_dir():
            sync_folder(path)
            continue
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    os.replace(work / MAPS, folder / MAPS_FOLDER)
    sync_folder(folder)


def take_back(folder: Path, work: Path) -> None:
    """Let a run that was killed after `keep`, and before its result was done, go on with these maps."""
    if (folder / MAPS_FOLDER).exists() and not (work / MAPS).exists():
        os.replace(folder / MAPS_FOLDER, work / MAPS)


def drop(folder: Path) -> None:
    """Remove kept maps."""
    shutil.rmtree(folder / MAPS_FOLDER, ignore_errors=True)


def are_kept(folder: Path, key: str) -> bool:
    """True where a result folder has the maps of these inputs."""
    try:
        found = json.loads((folder / MAPS_FOLDER / DESCRIPTION_FILE).read_bytes())
        return bool(found["attributes"]["key"] == key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _about(
    name: str, layer: Layer, manifest: Manifest, reduction: int, *, shares: bool = False
) -> dict[str, Any]:
    """Attributes of an array."""
    mpp = manifest.parameters["working_mpp"] * reduction
    head = layer.head
    about = {
        "head": name,
        "kind": head.kind.value,
        "mpp": mpp,
        "level0_px": mpp / manifest.slide["mpp"],
        "origin_px": [0, 0],
    }
    if head.kind is HeadKind.INSTANCE:
        return about | {"channels": list(head.channels[1:]), "full": _FULL}
    if head.kind is HeadKind.PATCH:
        return about | {"channels": list(head.channels), "full": 1}
    return about | (
        {"channels": list(head.classes), "full": _FULL} if shares else {"values": list(head.channels)}
    )


def _write_coarse(canvas: Canvas, name: str, layer: Layer, manifest: Manifest) -> list[int]:
    """Write coarser maps until one chunk holds all; returns their factors."""
    codes = range(1, len(layer.head.channels)) if layer.head.kind is HeadKind.TYPE else ()

    def read(region: Region) -> Planes:
        found = canvas.read(name, region)
        return class_planes(found, codes) if codes else found.transpose(2, 0, 1)

    bounds, factor, factors = canvas.bounds(name), 1, []
    while max(bounds.width, bounds.height) > _COARSE_CHUNK_PX:
        factor *= COARSER
        about = _about(name, layer, manifest, layer.reduction * factor, shares=True)
        folder = canvas.folder / COARSE / str(factor) / name
        bounds = _reduce(folder, read, bounds, about)
        read = stored_maps(folder).read
        factors.append(factor)
    return factors


def class_planes(codes: npt.NDArray[np.uint8], wanted: Iterable[int]) -> Planes:
    """Class numbers as a plane per class, full where a pixel is of it."""
    return np.stack([np.where(codes == code, np.uint8(_FULL), np.uint8(0)) for code in wanted])


def _reduce(folder: Path, read: Callable[[Region], Planes], bounds: Region, about: dict[str, Any]) -> Region:
    """Write an array that is `COARSER` times as coarse as what is read; returns its bounds."""
    folder.mkdir(parents=True)
    out = Region(0, 0, -(-bounds.width // COARSER), -(-bounds.height // COARSER))
    side, channels = _COARSE_CHUNK_PX, len(about["channels"])
    shape = (channels, out.height, out.width)
    describe(folder, MapArray(shape, (channels, side, side), np.uint8, about))
    for part in tiles(out, side):
        source = Region(
            part.x * COARSER, part.y * COARSER, part.width * COARSER, part.height * COARSER
        ).intersect(bounds)
        chunk = np.zeros((channels, side, side), np.uint8)
        for number, plane in enumerate(read(source)):
            reduced = reduce_mean(np.ascontiguousarray(plane), COARSER)
            chunk[number, : reduced.shape[0], : reduced.shape[1]] = reduced
        write_chunk(folder / chunk_name(part.y // side, part.x // side, 3), chunk)
    return out


def _describe_group(folder: Path, attributes: dict[str, Any]) -> None:
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    replace_file(folder / DESCRIPTION_FILE, json.dumps(document).encode())
