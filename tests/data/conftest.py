"""A small store of made-up samples: every kind of label, some missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries
from histocerb.data.splits import SplitParams
from histocerb.data.store import Store

MakeSample = Callable[..., Sample]


def _discs(side: int, rng: np.random.Generator, n: int = 12) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    ids = np.zeros((side, side), np.int32)
    for k in range(1, n + 1):
        y, x, r = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(3, 9)
        ids[(rows - y) ** 2 + (columns - x) ** 2 < r * r] = 3 * k
    return ids


def make_sample(
    name: str,
    *,
    source: str = "made",
    patient: str = "",
    side: int = 80,
    mpp: float = 0.5,
    tasks: tuple[str, ...] = ("nuclei",),
    patch_class: str | None = None,
) -> Sample:
    """Random discs with every third id; nuclei and glands have classes."""
    rng = np.random.default_rng(list((source + name).encode()))
    image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
    names = {"nuclei": ("epithelial", "inflammatory"), "gland": ("gland",), "lumen": ()}
    objects = {}
    for task in tasks:
        ids = _discs(side, rng)
        present = [int(k) for k in np.unique(ids) if k]
        classes = {k: names[task][k % len(names[task])] for k in present[1:]} if names[task] else {}
        objects[task] = ObjectLabels(ids, classes)
    return Sample(image, mpp, objects, patch_class, source, patient or f"{source}-{name}", name)


@pytest.fixture(scope="session")
def sample() -> MakeSample:
    return make_sample


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Eight samples with nuclei, four with glands, two with everything, six patches; none held back."""
    path: Path = tmp_path_factory.mktemp("store")
    samples = [make_sample(f"n{i}") for i in range(8)]
    samples += [make_sample(f"g{i}", source="glands", tasks=("gland",)) for i in range(4)]
    samples += [make_sample(f"a{i}", source="all", tasks=("nuclei", "gland", "lumen")) for i in range(2)]
    samples += [
        make_sample(f"p{i}", source="patches", tasks=(), patch_class=("muscle", "debris")[i % 2])
        for i in range(6)
    ]
    return convert(as_entries(samples), path, split=SplitParams(valid_fraction=0.0))
