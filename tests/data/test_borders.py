import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, label

from histocerb.data.borders import W0, border_weights, split_pieces


def _blobs(seed: int, n: int = 9, size: int = 72) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    ids = np.zeros((size, size), np.int32)
    for k in range(1, n + 1):
        y, x, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(3, 9)
        ids[(rows - y) ** 2 + (columns - x) ** 2 < r * r] = k
    return ids


def _exact(ids: np.ndarray, sigma: float) -> np.ndarray:
    pieces = split_pieces(ids)
    count = pieces.max()
    if count < 2:
        return np.ones(ids.shape)
    distances = np.sort([distance_transform_edt(pieces != k) for k in range(1, count + 1)], axis=0)
    return 1 + W0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))


@given(st.integers(0, 10**6), st.sampled_from([(3, 1.0, 0.4), (11, 0.95, 1.5)]))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_close_to_exact_distances(seed: int, case: tuple[int, float, float]) -> None:
    sigma, share, tolerance = case
    ids = _blobs(seed)
    found, exact = border_weights(ids, sigma), _exact(ids, sigma)
    assert found.dtype == np.float32
    assert found.shape == ids.shape
    assert np.quantile(np.abs(found - exact), share) < tolerance
    assert np.abs(found - exact).mean() < 0.45


def test_a_gap_weighs_more_than_open_ground() -> None:
    ids = np.zeros((30, 60), np.int32)
    ids[5:25, 5:25], ids[5:25, 27:45] = 1, 2
    weights = border_weights(ids, 3)
    assert weights[15, 26] == pytest.approx(1 + W0 * np.exp(-(3**2) / 18), rel=0.06)
    assert weights[15, 58] < 1.05
    touching = ids.copy()
    touching[5:25, 25:27] = 1
    assert border_weights(touching, 3)[15, 26] > weights[15, 26]


@pytest.mark.parametrize(
    "ids", [np.zeros((9, 11), np.int32), np.ones((9, 11), np.int32), np.zeros((1, 1), np.int32)]
)
def test_fewer_than_two_objects_have_no_border(ids: np.ndarray) -> None:
    for sigma in (3, 11):
        assert border_weights(ids, sigma).shape == ids.shape
        assert border_weights(ids, sigma).max() < 1.02


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (300, 400)])
def test_as_many_pieces_as_pixels(shape: tuple[int, int]) -> None:
    ids = np.arange(1, shape[0] * shape[1] + 1, dtype=np.int32).reshape(shape)
    assert np.array_equal(split_pieces(ids), ids)


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_pieces_are_those_of_scipy(seed: int, height: int, width: int, high: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, high + 1, (height, width)).astype(np.int32) * 5
    found = split_pieces(ids)
    assert np.array_equal(found > 0, ids > 0)
    total = 0
    for k in np.unique(ids[ids > 0]):
        pieces, count = label(ids == k, np.ones((3, 3)))
        total += count
        for n in range(1, count + 1):
            assert len(np.unique(found[pieces == n])) == 1
    assert found.max(initial=0) == total
    _, first = np.unique(found, return_index=True)
    assert (np.diff(first[1:] if (found == 0).any() else first) > 0).all()
