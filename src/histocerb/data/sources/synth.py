"""Synthetic slides: every head labelled, as many as wanted; use `keep_heads` to make partly labelled sets.

There is no folder: pictures follow from the seed alone. Every slide is a patient of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np

from histocerb.core.errors import DataError, UsageError
from histocerb.core.geometry import Region
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CELL_PX, WORKING_MPP
from histocerb.data.sources.entry import Entry, as_entries
from histocerb.slides.synth import TISSUES, VERSION, SynthConfig, SynthSlide

NAME = "synth"
TISSUE_NAME = "synth-tissue"
_TISSUE_SLIDE_PX = 7 * CELL_PX


def synth(n: int, side_px: int = 1024, seed: int = 0, config: SynthConfig | None = None) -> list[Entry]:
    """`n` squares of `side_px` at 0.5 um per pixel with their nuclei, glands and lumina.

    Slide i has the seed `seed + i`; sets of different seeds are best kept `n` apart.

    Raises:
        UsageError: a number or a side below 1.
    """
    if n < 1 or side_px < 1:
        raise UsageError(f"expected at least one sample and one pixel, found {n} of {side_px} px; raise them")
    recipe = f"{VERSION} {side_px} {config or SynthConfig()}"
    return [
        Entry(_name(slide_seed), (), partial(_square, side_px, slide_seed, config), recipe)
        for slide_seed in range(seed, seed + n)
    ]


def _square(side_px: int, seed: int, config: SynthConfig | None) -> Sample:
    region = Region(0, 0, side_px, side_px)
    slide = SynthSlide(side_px, side_px, seed, config=config)
    objects = {task: _renumbered(labels) for task, labels in slide.truth(region).objects.items()}
    return Sample(
        slide.read(region, WORKING_MPP),
        WORKING_MPP,
        objects,
        source=NAME,
        patient=f"{NAME}-{seed}",
        name=_name(seed),
    )


def _name(seed: int) -> str:
    return f"slide-{seed:06d}"


def synth_tissue(n_per_class: int, seed: int = 0, per_slide: int = 6) -> Iterator[Entry]:
    """`n_per_class` tissue cells (144 px) of every class, at most `per_slide` of a class from one slide.

    Slides emphasise the class that lacks most; the class of a cell is that of most of its pixels.

    Raises:
        UsageError: a number below 1.
        DataError: slide after slide has none of the class that is wanted.
    """
    if n_per_class < 1 or per_slide < 1:
        raise UsageError(f"expected at least one cell, found {n_per_class} and {per_slide}; raise them")
    found: Counter[str] = Counter()
    slide_seed, fruitless = seed, 0
    while (wanted := min(TISSUES, key=lambda name: found[name])) and found[wanted] < n_per_class:
        new = list(_cells(slide_seed, wanted, per_slide, found, n_per_class))
        fruitless = 0 if any(sample.patch_class == wanted for sample in new) else fruitless + 1
        if fruitless == 20:
            raise DataError(f"expected {wanted} in synthetic slides, found none in 20; try another seed")
        slide_seed += 1
        yield from as_entries(new)


def _cells(seed: int, wanted: str, per_slide: int, found: Counter[str], enough: int) -> Iterator[Sample]:
    """Count and yield up to `per_slide` cells per class of a slide, in random order, to `enough` in all."""
    bounds = Region(0, 0, _TISSUE_SLIDE_PX, _TISSUE_SLIDE_PX)
    slide = SynthSlide(bounds.width, bounds.height, seed, config=SynthConfig.emphasise(wanted))
    image, tissue = slide.read(bounds, WORKING_MPP), slide.truth(bounds).tissue
    here: Counter[str] = Counter()
    for place in np.random.default_rng(seed).permutation(tissue.size):
        row, column = divmod(int(place), tissue.shape[1])
        name = TISSUES[tissue[row, column]]
        if here[name] == per_slide or found[name] == enough:
            continue
        here[name] += 1
        found[name] += 1
        yield Sample(
            image[Region(column * CELL_PX, row * CELL_PX, CELL_PX, CELL_PX).slices()].copy(),
            WORKING_MPP,
            patch_class=name,
            source=TISSUE_NAME,
            patient=f"{TISSUE_NAME}-{seed}",
            name=f"{_name(seed)}-{row}-{column}",
        )


def _renumbered(labels: ObjectLabels) -> ObjectLabels:
    """Ids from 1 on, in the same order: those of a slide are sparse."""
    old, new = np.unique(labels.ids, return_inverse=True)
    first = 0 if len(old) and old[0] == 0 else 1
    number = {int(k): i + first for i, k in enumerate(old)}
    ids = (new.reshape(labels.ids.shape) + first).astype(np.int32)
    return ObjectLabels(ids, {number[k]: name for k, name in labels.classes.items()})
