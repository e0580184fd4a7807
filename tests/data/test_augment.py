import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import UsageError
from histocerb.data.augment import NO_AUGMENTATION, AugmentParams, place, restyle, stain
from histocerb.data.warp import warp_ids

IMAGE = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype(np.uint8)
IDS = np.arange(60 * 70, dtype=np.int32).reshape(60, 70)


@given(st.integers(0, 10**9), st.integers(8, 60))
@settings(max_examples=40, deadline=None)
def test_plain_crops_are_windows_of_the_image(seed: int, side: int) -> None:
    matrix = place(np.random.default_rng(seed), IDS.shape, side, NO_AUGMENTATION)
    crop = warp_ids(IDS, matrix, side)
    row, column = divmod(int(crop[0, 0]), 70)
    assert np.array_equal(crop, IDS[row : row + side, column : column + side])


@given(st.integers(0, 10**9))
@settings(max_examples=40, deadline=None)
def test_turned_crops_use_every_pixel_once(seed: int) -> None:
    matrix = place(np.random.default_rng(seed), IDS.shape, 24, AugmentParams(warp_prob=0.0))
    crop = warp_ids(IDS, matrix, 24)
    assert len(np.unique(crop)) == 24 * 24


def test_all_eight_turns_occur() -> None:
    rng = np.random.default_rng(0)
    seen = {place(rng, (64, 64), 32, AugmentParams(warp_prob=0.0))[:, :2].tobytes() for _ in range(200)}
    assert len(seen) == 8


@given(st.integers(0, 10**9), st.integers(20, 300))
@settings(max_examples=60, deadline=None)
def test_crops_stay_inside_where_they_fit(seed: int, side: int) -> None:
    height, width = 200, 240
    params = AugmentParams(warp_prob=1.0, max_angle_deg=30.0, scale_range=0.3)
    matrix = place(np.random.default_rng(seed), (height, width), side, params)
    corners = matrix @ np.array([[0, side, 0, side], [0, 0, side, side], [1, 1, 1, 1]], float)
    for points, limit in ((corners[0], width), (corners[1], height)):
        if np.ptp(points) <= limit:
            assert points.min() >= -0.51
            assert points.max() <= limit + 0.51
        else:
            assert points.min() <= 0.51
            assert points.max() >= limit - 0.51


def test_small_images_are_mirrored_around_the_whole() -> None:
    matrix = place(np.random.default_rng(3), IDS.shape, 100, NO_AUGMENTATION)
    assert len(np.unique(warp_ids(IDS, matrix, 100))) == IDS.size


def test_scale_stays_in_its_range() -> None:
    rng = np.random.default_rng(0)
    params = AugmentParams(warp_prob=1.0, scale_range=0.25)
    scales = [1 / np.sqrt(abs(np.linalg.det(place(rng, (90, 90), 30, params)[:, :2]))) for _ in range(200)]
    assert 0.8 - 1e-9 <= min(scales) < 0.85
    assert 1.18 < max(scales) <= 1.25 + 1e-9


def test_styles_are_reproducible_and_off_means_off() -> None:
    strong = AugmentParams(blur_prob=1.0, colour_prob=1.0, stain_prob=1.0)
    first = restyle(np.random.default_rng(5), IMAGE, strong)
    assert np.array_equal(first, restyle(np.random.default_rng(5), IMAGE, strong))
    assert not np.array_equal(first, restyle(np.random.default_rng(6), IMAGE, strong))
    assert np.array_equal(restyle(np.random.default_rng(5), IMAGE, NO_AUGMENTATION), IMAGE)
    assert first.shape == IMAGE.shape
    assert first.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "limit"), [("stain_prob", 60.0), ("colour_prob", 80.0), ("blur_prob", 128.0)]
)
def test_each_style_changes_colours_within_reason(name: str, limit: float) -> None:
    only = dict.fromkeys(("blur_prob", "colour_prob", "stain_prob"), 0.0) | {name: 1.0}
    params = AugmentParams(**only)
    changes = [
        np.abs(restyle(np.random.default_rng(seed), IMAGE, params).astype(int) - IMAGE).mean()
        for seed in range(10)
    ]
    assert max(changes) < limit
    assert sum(change > 0.5 for change in changes) >= 8


def test_stain_of_one_is_the_image_and_more_stain_is_darker() -> None:
    same = stain(IMAGE, np.ones(3), np.zeros(3))
    assert np.abs(same.astype(int) - IMAGE).max() <= 1
    assert (stain(IMAGE, np.full(3, 1.3), np.zeros(3)) <= IMAGE).all()


def test_stain_follows_beer_and_lambert() -> None:
    """Twice the density is the square of the light, for any colour that is not close to black."""
    light = np.array([[[200, 150, 180], [255, 255, 255], [90, 60, 100]]], np.uint8)
    expected = 256 * ((light + 1.0) / 256) ** 2 - 1
    assert np.abs(stain(light, np.full(3, 2.0), np.zeros(3)) - expected).max() <= 1


def test_grey_keeps_its_hue_under_colour_changes() -> None:
    params = AugmentParams(stain_prob=0.0, blur_prob=0.0, colour_prob=1.0)
    grey = np.full((4, 4, 3), 120, np.uint8)
    hsv = cv2.cvtColor(restyle(np.random.default_rng(2), grey, params), cv2.COLOR_RGB2HSV)
    assert hsv[..., 1].max() == 0


@pytest.mark.parametrize("wrong", [{"blur_prob": 1.5}, {"median_px": 4}])
def test_wrong_strengths(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        AugmentParams(**wrong)  # type: ignore[arg-type]
