"""Looking at a store: labels drawn into images, and what training makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from histocerb.core.colours import colour
from histocerb.core.samples import Marks, ObjectLabels
from histocerb.core.tasks import CERBERUS, HeadKind, Task
from histocerb.data.batches import WEIGHTS, BatchDataset, CropParams
from histocerb.data.sampler import Draw, Pool, SamplerParams, TaskSampler
from histocerb.data.store import Store
from histocerb.data.targets import CONTOUR, INSIDE, type_rows

Picture = npt.NDArray[np.uint8]

_ZOOM = 2
"""Pixels of a picture per pixel of the store, so that outlines of touching objects can be told apart."""
_CAPTION_PX = 18
_GAP_PX = 6
_TRIES = 10
_MOST_CELLS = 8
"""Pictures in a row of `views`, where a sample has fewer."""
TARGET_COLOURS = {INSIDE: (70, 160, 240), CONTOUR: (250, 180, 40)}
"""Of the channels of instance heads."""


def outlined(image: Picture, objects: dict[str, ObjectLabels], marks: dict[str, Marks]) -> Picture:
    """The image, twice as large, with the outline of every object and mark in the colour of its class."""
    size = image.shape[1] * _ZOOM, image.shape[0] * _ZOOM
    picture = np.asarray(cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_CUBIC), np.uint8)
    for task, labels in objects.items():
        ids = cv2.resize(labels.ids.astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
        _draw_edges(picture, ids, labels.classes, CERBERUS.task(task))
    for found in marks.values():
        for box, name in zip(found.boxes * _ZOOM, found.classes, strict=True):
            x0, y0, x1, y1 = (round(float(value)) for value in box)
            corner = (x0 - 3, y0 - 3), (x1 + 3, y1 + 3)
            cv2.rectangle(picture, *corner, colour(name), 1)
    return picture


def sheet(store: Store, *, per_split: int = 6, side_px: int = 256) -> Picture:
    """Contact sheet: samples of every source and split with their outlines, evenly taken from each.

    Args:
        store: what to look at.
        per_split: samples per source and split.
        side_px: side of the part of a sample that is shown (its middle).
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for i in range(len(store)):
        groups.setdefault((store.records[i].source, store.records[i].split), []).append(i)
    rows = []
    for (source, split), members in sorted(groups.items()):
        places = np.linspace(0, len(members) - 1, min(per_split, len(members))).round().astype(int)
        cells = [_cell(store, members[place], side_px) for place in places]
        rows.append((f"{source}, {split}: {len(members)} samples", cells))
    return framed(rows)


def views(store: Store, params: CropParams, *, per_task: int = 4, seed: int = 0) -> Picture:
    """What training sees: per task, augmented crops beside their targets and border weights.

    Crops with objects of the task are preferred. Inside is blue, contour yellow; types have the colours of
    their classes; weights are grey, bright where they are high.
    """
    sampler = TaskSampler(store, None, SamplerParams(batch_size=1))
    data = BatchDataset(store, sampler, seed, replace(params, all_labels=False))
    rows: list[tuple[str, list[tuple[str, Picture]]]] = []
    for task in CERBERUS.tasks:
        pool = sampler.pool(task.name)
        if pool is None:
            continue
        rng = np.random.default_rng([seed, len(rows)])
        shown = [list(_view(data, _worth_showing(data, pool, rng, task), task)) for _ in range(per_task)]
        per_row = max(1, _MOST_CELLS // max(map(len, shown)))
        rows += [
            (task.name, [cell for cells in shown[first : first + per_row] for cell in cells])
            for first in range(0, per_task, per_row)
        ]
    return framed(rows)


def _cell(store: Store, index: int, side_px: int) -> tuple[str, Picture]:
    sample = store.sample(index)
    height, width = sample.image.shape[:2]
    top, left = max(0, (height - side_px) // 2), max(0, (width - side_px) // 2)
    part = slice(top, top + side_px), slice(left, left + side_px)
    objects = {task: replace(labels, ids=labels.ids[part]) for task, labels in sample.objects.items()}
    corner = np.array([left, top] * 2, np.float32)
    marks = {kind: replace(found, boxes=found.boxes - corner) for kind, found in sample.marks.items()}
    return sample.patch_class or sample.name, outlined(sample.image[part], objects, marks)


def _worth_showing(data: BatchDataset, pool: Pool, rng: np.random.Generator, task: Task) -> Draw:
    """A draw with objects of the task in view, if ten tries give one."""
    instance = task.head(HeadKind.INSTANCE)
    for _ in range(_TRIES):
        draw = pool.draw(rng)
        if instance is None or data.crop(draw, is_patch=False)[1][instance.name].any():
            break
    return draw


def _view(data: BatchDataset, draw: Draw, task: Task) -> Iterator[tuple[str, Picture]]:
    image, arrays = data.crop(draw, is_patch=task.head(HeadKind.PATCH) is not None)
    patch = data.store.records[draw.index].patch_class or ""
    yield patch, image
    for head in task.heads:
        if head.kind is HeadKind.INSTANCE:
            yield head.name, painted(arrays[head.name], TARGET_COLOURS)
        elif head.kind is HeadKind.TYPE and head.name in arrays:
            shades = {i: colour(name) for i, name in enumerate(type_rows(task)) if i}
            yield head.name, painted(arrays[head.name], shades)
        if head.name + WEIGHTS in arrays:
            weights = arrays[head.name + WEIGHTS]
            grey = (255 * weights / max(float(weights.max()), 1e-6)).astype(np.uint8)
            yield "weights", np.repeat(grey[..., None], 3, axis=2)


def painted(values: npt.NDArray[Any], colours: dict[int, tuple[int, int, int]]) -> Picture:
    """H x W x 3: every value in its colour, values without one black."""
    table = np.zeros((256, 3), np.uint8)
    for value, shade in colours.items():
        table[value] = shade
    return np.asarray(table[values])


def _draw_edges(picture: Picture, ids: npt.NDArray[Any], classes: dict[int, str], task: Task) -> None:
    """Draw the inner edge of every object, one pixel wide."""
    values = np.asarray(ids, np.float32)  # exact up to 2^24, the highest id of a store
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    edge = (values > 0) & (cv2.erode(values, cross) != cv2.dilate(values, cross))
    owners = ids[edge]
    shade = {k: colour(name) for k, name in classes.items()}
    present, place = np.unique(owners, return_inverse=True)
    table = np.array([shade.get(int(k), colour(task.kind)) for k in present], np.uint8).reshape(-1, 3)
    picture[edge] = table[place]


def framed(rows: Iterable[tuple[str, Sequence[tuple[str, Picture]]]]) -> Picture:
    """Rows of captioned pictures on white."""
    lines = [(title, [_captioned(*cell) for cell in cells]) for title, cells in rows]
    width = max(sum(cell.width + _GAP_PX for cell in cells) + _GAP_PX for _, cells in lines)
    heights = [max(cell.height for cell in cells) + _CAPTION_PX + _GAP_PX for _, cells in lines]
    page = Image.new("RGB", (width, sum(heights) + _GAP_PX), "white")
    y = _GAP_PX
    for (title, cells), height in zip(lines, heights, strict=True):
        ImageDraw.Draw(page).text((_GAP_PX, y), title, fill="black")
        x = _GAP_PX
        for cell in cells:
            page.paste(cell, (x, y + _CAPTION_PX))
            x += cell.width + _GAP_PX
        y += height
    return np.asarray(page)


def _captioned(caption: str, picture: Picture) -> Image.Image:
    cell = Image.new("RGB", (picture.shape[1], picture.shape[0] + _CAPTION_PX), "white")
    cell.paste(Image.fromarray(np.ascontiguousarray(picture)), (0, 0))
    ImageDraw.Draw(cell).text((2, picture.shape[0] + 3), caption, fill="black")
    return cell
