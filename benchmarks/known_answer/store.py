"""The pictures as a store of partly labelled sets: a source per task, each with its labels alone.

python -m benchmarks.known_answer.store OUT
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.known_answer.images import SOURCE, make_image, make_patch
from histocerb.core.samples import Sample
from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import Conversion, convert
from histocerb.data.sources.entry import Entry
from histocerb.data.splits import SplitParams
from histocerb.data.store import Store


@dataclass(frozen=True)
class Counts:
    """How many pictures of each kind, a quarter of them for validation.

    Attributes:
        nuclei, gland, lumen: pictures with labels of that task only.
        tissue: patches, the nine classes in turn.
        side_px: of the pictures.
    """

    nuclei: int = 40
    gland: int = 40
    lumen: int = 40
    tissue: int = 360
    side_px: int = 256


VALID_FRACTION = 0.25
_APART = 10_000
"""Seeds between two sources, so that none has another's picture."""


def write_store(out: Path, counts: Counts = Counts(), seed: int = 0, folds: int = 0) -> Store:
    """Write the sources `known-<task>` to the store `out`.

    Args:
        out: folder of the store.
        counts: how many pictures.
        seed: another seed, other pictures.
        folds: as in `SplitParams`; 0 for one part to train and one to validate.
    """
    split = SplitParams(folds=folds, valid_fraction=VALID_FRACTION, seed=seed)
    numbers = {"nuclei": counts.nuclei, "gland": counts.gland, "lumen": counts.lumen}
    first = seed * _APART * len(CERBERUS.tasks)
    for task, number in numbers.items():
        entries = [
            Entry(f"image-{k:06d}", (), partial(_labelled, k, counts.side_px, task), f"{counts.side_px} px")
            for k in range(first, first + number)
        ]
        convert(entries, out, Conversion(source(task), workers=2), split=split)
        first += _APART
    patches = [
        Entry(f"patch-{k:06d}", (), partial(_patch, k), "") for k in range(first, first + counts.tissue)
    ]
    return convert(patches, out, Conversion(source("tissue"), workers=2), split=split)


def source(task: str) -> str:
    """Name of the source that is labelled for that task."""
    return f"{SOURCE}-{task}"


def _labelled(seed: int, side_px: int, task: str) -> Sample:
    sample = make_image(seed, side_px)
    return replace(sample, objects={task: sample.objects[task]}, source=source(task))


def _patch(seed: int) -> Sample:
    return replace(make_patch(seed), source=source("tissue"))


if __name__ == "__main__":
    print(f"{len(write_store(Path(sys.argv[1])))} samples")
