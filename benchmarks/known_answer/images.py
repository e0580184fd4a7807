"""Pictures with exact truth, a function of their seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.known_answer.drawing import filled, mark, noise, scanned
from benchmarks.known_answer.scene import (
    STROMA,
    Gland,
    Nucleus,
    draw_gland,
    draw_nucleus,
    place_glands,
    place_nuclei,
)
from benchmarks.known_answer.tissue import TEXTURES
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CELL_PX, WORKING_MPP

SOURCE = "known"


def make_image(seed: int, side_px: int = 256) -> Sample:
    """A picture with all its nuclei, glands and lumina labelled; every picture is a patient of its own."""
    rng = np.random.default_rng([seed, side_px])
    glands = place_glands(rng, side_px)
    nuclei = place_nuclei(rng, side_px, glands)
    picture = filled(side_px, STROMA) + 5 * noise(rng, side_px, 12)[..., None]
    for gland in glands:
        draw_gland(picture, gland)
    for nucleus in nuclei:
        draw_nucleus(rng, picture, nucleus)
    lumina = [Gland(lumen, "") for gland in glands if (lumen := gland.lumen) is not None]
    objects = {
        "nuclei": _labels(nuclei, side_px),
        "gland": _labels(glands, side_px),
        "lumen": ObjectLabels(_labels(lumina, side_px).ids),
    }
    name = f"image-{seed:06d}"
    return Sample(
        scanned(rng, picture), WORKING_MPP, objects, source=SOURCE, patient=f"{SOURCE}-{name}", name=name
    )


def make_patch(seed: int) -> Sample:
    """A patch of one tissue class, the classes in turn."""
    rng = np.random.default_rng([seed, CELL_PX])
    name = list(TEXTURES)[seed % len(TEXTURES)]
    picture = TEXTURES[name](rng, CELL_PX)
    who = f"patch-{seed:06d}"
    return Sample(
        scanned(rng, picture),
        WORKING_MPP,
        patch_class=name,
        source=SOURCE,
        patient=f"{SOURCE}-{who}",
        name=who,
    )


def _labels(things: Sequence[Gland | Nucleus], side_px: int) -> ObjectLabels:
    """Ids from 1; what lies outside the picture has no class."""
    ids = np.zeros((side_px, side_px), np.int32)
    for number, thing in enumerate(things, start=1):
        mark(ids, thing.shape, number)
    present = set(np.unique(ids).tolist())
    classes = {number: thing.name for number, thing in enumerate(things, start=1) if number in present}
    return ObjectLabels(ids, classes)
