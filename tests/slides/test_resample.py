"""Weights against a plain float reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.slides.resample import resample, taps

IMAGE = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)


def reference_matrix(count: int, ratio: float, size: int) -> np.ndarray:
    """count x size weights, one entry at a time."""
    matrix = np.zeros((count, size))
    for j in range(count):
        if ratio >= 1:
            for i in range(int(j * ratio), int(np.ceil((j + 1) * ratio))):
                share = min(i + 1, (j + 1) * ratio) - max(i, j * ratio)
                matrix[j, min(i, size - 1)] += share / ratio
        else:
            centre = (j + 0.5) * ratio - 0.5
            low = int(np.floor(centre))
            for i, share in ((low, 1 - (centre - low)), (low + 1, centre - low)):
                matrix[j, min(max(i, 0), size - 1)] += share
    return matrix


@settings(max_examples=40, deadline=None)
@given(ratio=st.one_of(st.floats(0.2, 9.0), st.sampled_from([0.5, 1.0, 1.02, 1.98, 2.0, 3.0, 4.0])))
def test_equals_the_reference(ratio: float) -> None:
    height, width = (max(1, round(n / ratio)) for n in IMAGE.shape[:2])
    got = resample(IMAGE, taps(0, height, ratio, 61), taps(0, width, ratio, 83))
    rows, columns = reference_matrix(height, ratio, 61), reference_matrix(width, ratio, 83)
    expected = np.einsum("ai,bj,ijc->abc", rows, columns, IMAGE.astype(float), optimize=True)
    assert got.shape == (height, width, 3)
    assert np.abs(got - expected).max() <= 0.55


@pytest.mark.parametrize("ratio", [0.3, 1.0, 1.5, 7.3, 300.0])
def test_white_stays_white_and_weights_sum_up(ratio: float) -> None:
    axis = taps(1_000_003, 1_000_050, ratio, 10**9)
    assert (axis.weights.sum(axis=1) == 1 << 14).all()
    assert axis.weights.min() >= 0
    count = axis.stop - axis.first
    white = np.full((count, count, 3) if count < 400 else (count, 2, 3), 255, np.uint8)
    other = axis if count < 400 else taps(0, 2, 1.0, 2)
    assert (resample(white, axis, other) == 255).all()


def test_no_drift_far_from_the_origin() -> None:
    far = taps(500_000, 500_001, 1.98, 10**7)
    assert far.first == 990_000
    assert np.array_equal(far.weights, taps(0, 1, 1.98, 10**7).weights)
