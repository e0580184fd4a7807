from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries
from histocerb.data.store import Store
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.training.hardware import Hardware
from histocerb.training.journal import Journal
from histocerb.training.stage import Place

TINY = NetworkConfig(
    EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16, 32), stem_stride=2), head_width=8, patch_width=8
)


def squares(name: str, rng: np.random.Generator, *, labels: tuple[str, ...], side: int = 96) -> Sample:
    """Dark squares on a light ground; their labels for some tasks."""
    image = rng.integers(190, 230, (side, side, 3)).astype(np.uint8)
    ids = np.zeros((side, side), np.int32)
    classes = {}
    types = CERBERUS.task("nuclei").classes
    for number in range(1, 10):
        row, column = 8 + 28 * ((number - 1) // 3), 8 + 28 * ((number - 1) % 3)
        ids[row : row + 16, column : column + 16] = number
        classes[number] = types[number % 2 * 2 + 1]
        image[ids == number] = (60, 40, 140) if number % 2 else (140, 40, 60)
    shade = np.kron(rng.uniform(0.6, 1, (4, 4)), np.ones((side // 4, side // 4)))  # no two look the same
    image = (image * shade[..., None]).astype(np.uint8)
    names = {"nuclei": classes, "gland": dict.fromkeys(classes, "gland"), "lumen": {}}
    objects = {task: ObjectLabels(ids, names[task]) for task in labels}
    return Sample(image, 0.5, objects, source="squares", patient=name, name=name)


def patches(rng: np.random.Generator) -> Iterator[Sample]:
    assert CERBERUS.patch is not None
    for number in range(6):
        name = CERBERUS.patch.classes[number % 2]
        grey = 230 if number % 2 else 90
        image = np.clip(rng.normal(grey, 5, (144, 144, 3)), 0, 255).astype(np.uint8)
        yield Sample(image, 0.5, patch_class=name, source="patches", patient=f"p{number}", name=f"p{number}")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    mixes = (("nuclei",), ("gland",), ("lumen",))
    convert(as_entries(squares(f"s{n}", rng, labels=mixes[n % 3]) for n in range(12)), path)
    return convert(as_entries(patches(rng)), path)


@pytest.fixture
def tiny() -> NetworkConfig:
    return TINY


@pytest.fixture(scope="session")
def recipe(store: Store) -> dict[str, Any]:
    """A run of two short stages on the tiny network, as a configuration file would give it."""
    heads = [head.name for head in CERBERUS.heads]
    types = [name for name in heads if name.endswith("type")]
    return {
        "name": "tiny",
        "store": str(store.path),
        "seed": 3,
        "workers": 0,
        "save_every": 4,
        "validation": {"images": 1},
        "stages": [
            {"heads": [name for name in heads if name not in types], "steps": 10},
            {"heads": types, "steps": 6, "freeze": True, "schedule": "cosine"},
        ],
        "network": {
            "head_width": 8,
            "patch_width": 8,
            "encoder": {"blocks": [1, 1, 1], "widths": [16, 16, 16, 32], "stem_stride": 2},
        },
        "sampler": {"batch_size": 3},
        "crops": {"crop_px": 48},
    }


@pytest.fixture
def place(store: Store, tmp_path: Path) -> Place:
    """The first stage of a run, on the processor."""
    journal = Journal(tmp_path / "journal.csv", (10, 6))
    return Place(1, store, tmp_path, journal, Hardware("cpu"))
