from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries
from histocerb.data.store import Store
from histocerb.training.evaluation import Measured

sys.path.insert(0, str(Path(__file__).parent))  # for known_maps

from known_maps import NUCLEI, Maps, maps_of, patch, squares


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Twelve images of nuclei and eight of tissue, in `train` and `valid`."""
    path = tmp_path_factory.mktemp("evaluation") / "store"
    rng = np.random.default_rng(0)
    words = ("epithelial", "plasma", "connective")
    nuclei = [
        squares(f"s{n:02}", {k: words[(k + n) % 3] for k in range(1, 4 + int(rng.integers(0, 6)))})
        for n in range(12)
    ]
    convert(as_entries(nuclei), path)
    return convert(as_entries(patch(f"p{n}", ("stroma", "muscle")[n % 2]) for n in range(8)), path)


@pytest.fixture
def perfect(store: Store) -> Callable[..., Measured]:
    """A model that knows the store: it misses the last `missed` nuclei of every image."""
    known = {store.image(i).tobytes(): store.sample(i) for i in range(len(store))}

    def model(name: str = "perfect", missed: int = 0) -> Measured:
        def predict(image: npt.NDArray[np.uint8]) -> Maps:
            sample = known[image.tobytes()]
            if sample.patch_class is not None:
                return maps_of(sample, np.zeros((144, 144), np.int32), {}, sample.patch_class)
            truth = sample.objects[NUCLEI.name]
            kept = sorted(truth.classes)[: max(0, len(truth.classes) - missed)]
            ids = truth.ids * np.isin(truth.ids, kept)
            return maps_of(sample, ids, {number: truth.classes[number] for number in kept})

        return Measured(name, name[0] * 64, CERBERUS, predict)

    return model
