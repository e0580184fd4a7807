import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import DataError
from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.resample import resample, resample_ids, resample_image


def _sample(shape: tuple[int, int], mpp: float) -> Sample:
    rng = np.random.default_rng(0)
    ids = np.zeros(shape, np.int32)
    ids[2:6, 4:10] = 7
    ids[8, 8] = 9
    return Sample(
        rng.integers(0, 256, (*shape, 3)).astype(np.uint8),
        mpp,
        {"gland": ObjectLabels(ids, {7: "gland", 9: "gland"})},
    )


@pytest.mark.parametrize(
    ("mpp", "shape", "expected"),
    [(0.62, (522, 775), (647, 961)), (0.25, (1000, 1000), (500, 500)), (0.5, (31, 17), (31, 17))],
)
def test_sizes_of_known_data_sets(mpp: float, shape: tuple[int, int], expected: tuple[int, int]) -> None:
    found = resample(_sample(shape, mpp))
    assert found.image.shape == (*expected, 3)
    assert found.objects["gland"].ids.shape == expected
    assert found.mpp == 0.5


def test_halving_averages_the_image_and_drops_objects_without_a_centre() -> None:
    sample = _sample((12, 12), 0.25)
    found = resample(sample)
    means = sample.image.reshape(6, 2, 6, 2, 3).mean((1, 3))
    assert np.abs(found.image - means).max() <= 0.5
    assert found.objects["gland"].classes == {7: "gland"}
    assert (found.objects["gland"].ids[1:3, 2:5] == 7).all()
    assert (found.objects["gland"].ids == 7).sum() == 6


@given(st.integers(3, 40), st.integers(3, 40), st.integers(3, 90), st.integers(3, 90))
@settings(max_examples=30, deadline=None)
def test_image_and_ids_are_on_one_grid(h: int, w: int, new_h: int, new_w: int) -> None:
    """A ramp drawn into both: an id is the ramp at the new pixel's centre, to half an old pixel."""
    rows, columns = np.mgrid[:h, :w].astype(float)
    ids = resample_ids((columns + 1000 * rows).astype(np.int32), (new_h, new_w))
    image = np.stack([6 * columns, 6 * rows, rows], -1).astype(np.uint8)
    ramp = resample_image(image, (new_h, new_w)) / 6
    tolerance = 0.5 + 1 / 6 + max(h / new_h, w / new_w) / 2
    assert np.abs(ids % 1000 - ramp[..., 0]).max() <= tolerance
    assert np.abs(ids // 1000 - ramp[..., 1]).max() <= tolerance


@pytest.mark.parametrize("mpp", [0.0, -1.0, float("nan"), 1e6])
def test_absurd_resolutions_are_refused(mpp: float) -> None:
    with pytest.raises(DataError, match="resolution"):
        resample(_sample((12, 12), mpp))
