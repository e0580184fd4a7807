"""An image whose colours are head maps, and a predictor that reads them off."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from histocerb.core.tasks import CERBERUS
from histocerb.inference.manifest import RunningModel

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from benchmarks.stand_in import StandInPredictor

Image = npt.NDArray[np.uint8]


def blobs(rng: np.random.Generator, shape: tuple[int, int], size_px: float, share: float) -> Image:
    """Random smooth blobs, dark where there are objects: from grains to shapes larger than a window."""
    factor = max(1, int(size_px / 4))
    small = rng.random((shape[0] // factor + 2, shape[1] // factor + 2), np.float32)
    noise = cv2.GaussianBlur(small, (0, 0), size_px / factor)
    noise = cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    order = np.quantile(noise[::4, ::4], [1 - share, 1 - share / 3])
    value = np.clip((noise - order[0]) / (order[1] - order[0]), -1, 1) * 100 + 125
    return np.asarray(255 - np.clip(value, 0, 255), np.uint8)


@pytest.fixture(scope="session")
def make_image() -> Callable[[int, int, int], Image]:
    """(height, width, seed) -> H x W x 3: nuclei in red, glands in green, lumina in blue."""

    def make(height: int, width: int, seed: int) -> Image:
        rng = np.random.default_rng(seed)
        shape = (height, width)
        planes = [blobs(rng, shape, 5, 0.3), blobs(rng, shape, 60, 0.5), blobs(rng, shape, 18, 0.4)]
        return np.stack(planes, axis=2)

    return make


@pytest.fixture(scope="session")
def model() -> RunningModel:
    """The stand-in with the paper's tasks."""
    return RunningModel("stand-in", "0" * 64, CERBERUS, StandInPredictor(CERBERUS))
