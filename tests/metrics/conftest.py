import numpy as np
import pytest


def _objects(rng: np.random.Generator, shape: tuple[int, int], count: int) -> np.ndarray:
    """Overlapping random boxes: later ones cover earlier ones, ids have gaps."""
    ids = np.zeros(shape, np.int32)
    for index in range(count):
        height, width = rng.integers(1, max(2, shape[0] // 2), 2)
        top, left = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        ids[top : top + height, left : left + width] = 3 * index + 1
    return ids


@pytest.fixture(params=range(12))
def pair(request) -> tuple[np.ndarray, np.ndarray]:
    """A truth and a prediction that is related to it; some have an empty side."""
    rng = np.random.default_rng(request.param)
    truth = _objects(rng, (24, 30), int(rng.integers(0, 9)))
    pred = np.roll(truth, tuple(rng.integers(-2, 3, 2)), (0, 1)) * 2
    extra = _objects(rng, (24, 30), int(rng.integers(0, 4)))
    pred = np.where(extra > 0, extra + 1000, pred) if request.param % 4 else extra * 0
    return truth, pred.astype(np.int32)
