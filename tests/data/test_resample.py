import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from histocerb.core.errors import DataError
from histocerb.core.samples import Marks, ObjectLabels, Sample
from histocerb.data.resample import resample, resample_ids, resample_image
from histocerb.data.validate import validate


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


def test_halving_averages_the_image_and_drops_what_covers_no_pixel() -> None:
    sample = _sample((12, 12), 0.25)
    found = resample(sample)
    means = sample.image.reshape(6, 2, 6, 2, 3).mean((1, 3))
    assert np.abs(found.image - means).max() <= 0.5
    assert found.objects["gland"].classes == {7: "gland"}
    assert (found.objects["gland"].ids[1:3, 2:5] == 7).all()
    assert (found.objects["gland"].ids == 7).sum() == 6


@pytest.mark.parametrize("factor", [1.5, 2, 2.48, 3, 4])
def test_objects_neither_move_nor_grow(factor: float) -> None:
    """Discs at random places: mean shift below 0.04 and area within 4 % of it, in new pixels."""
    rng, new = np.random.default_rng(0), 400
    size = round(new * factor)
    ids, places = np.zeros((size, size), np.int32), []
    for row in range(20, new - 20, 20):
        for column in range(20, new - 20, 20):
            y, x = (np.array([row, column]) + rng.uniform(-3, 3, 2)) * factor
            top, left, side = int(y - 9 * factor), int(x - 9 * factor), int(18 * factor)
            rows, columns = np.mgrid[top : top + side, left : left + side] + 0.5
            places.append((y, x))
            ids[top : top + side, left : left + side][np.hypot(rows - y, columns - x) < 6 * factor] = len(
                places
            )
    found = resample_ids(ids, (new, new))
    rows, columns = np.nonzero(found)
    number = found[rows, columns]
    area = np.bincount(number)[1:]
    centres = [np.bincount(number, line + 0.5)[1:] / area for line in (rows, columns)]
    shift = np.mean(np.transpose(centres) - np.array(places) / factor, axis=0)
    assert np.abs(shift).max() < 0.04
    assert area.mean() == pytest.approx(36 * np.pi, rel=0.04)


@pytest.mark.parametrize("width", [1951, 1967, 2007, 2023, 2000])
def test_boxes_end_where_the_image_does(width: int) -> None:
    boxes = np.array([[width - 30, 0, width, 40], [3, 5, 8, 9]], np.float32)
    marks = {"signet-ring-cell": Marks(boxes, ("", ""))}
    image = np.zeros((40, width, 3), np.uint8)
    found = resample(Sample(image, 0.25, {}, source="s", patient="p", name="n", marks=marks))
    scaled = found.marks["signet-ring-cell"].boxes
    assert scaled.dtype == np.float32
    assert scaled[0, 2:].tolist() == [found.image.shape[1], 20]
    np.testing.assert_allclose(scaled[1], [1.5, 2.5, 4, 4.5], rtol=1e-3)
    validate(found)


def test_ties_are_shared_out_as_on_a_chessboard() -> None:
    halves = np.tile(np.array([[1, 2]], np.int32), (8, 4))
    expected = np.indices((4, 4)).sum(0) % 2 + 1
    assert np.array_equal(resample_ids(halves, (4, 4)), expected)


def test_most_of_a_pixel_wins() -> None:
    ids = np.array([[5, 5, 0, 0], [5, 0, 0, 7], [1, 2, 3, 3], [2, 3, 3, 1]], np.int32)
    assert np.array_equal(resample_ids(ids, (2, 2)), [[5, 0], [2, 3]])


@given(st.integers(3, 40), st.integers(3, 40), st.integers(3, 90), st.integers(3, 90))
@example(13, 3, 3, 4)
@settings(max_examples=30, deadline=None)
def test_image_and_ids_are_on_one_grid(h: int, w: int, new_h: int, new_w: int) -> None:
    """A ramp drawn into both: an id is the ramp somewhere in the new pixel."""
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
