import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.data.duplicates import look, near_duplicates


def _texture(seed: int, side: int = 160) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 230, (10, 10, 3)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.copy(),
        lambda image: _compressed(image, 60),
        lambda image: cv2.resize(image, (99, 99), interpolation=cv2.INTER_AREA),
        lambda image: np.clip(image * 0.9 + 10, 0, 255).astype(np.uint8),
    ],
)
def test_changed_copies_are_found_among_others(change) -> None:
    images = [_texture(seed) for seed in range(40)] + [change(_texture(7))]
    assert near_duplicates([look(image) for image in images], images.__getitem__) == [(7, 40)]


def test_images_without_structure_are_nobodys_duplicates() -> None:
    blank = [np.full((50, 50, 3), value, np.uint8) for value in (255, 255, 240)]
    assert [look(image) for image in blank] == [None] * 3
    assert near_duplicates([None] * 3, blank.__getitem__) == []


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), st.data())
@settings(max_examples=60, deadline=None)
def test_every_pair_within_five_bits_is_a_candidate(bases: list[int], data) -> None:
    values = []
    for base in bases:
        for _ in range(data.draw(st.integers(1, 30))):
            flips = data.draw(st.sets(st.integers(0, 63), max_size=4))
            unsigned = (base % 2**64) ^ sum(1 << bit for bit in flips)
            values.append(unsigned - 2**64 if unsigned >= 2**63 else unsigned)
    same = np.full((32, 32, 3), 200, np.uint8)
    same[:16] = 30
    expected = [
        (i, j)
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if ((values[i] ^ values[j]) & (2**64 - 1)).bit_count() <= 5
    ]
    assert near_duplicates(values, lambda _: same) == expected
