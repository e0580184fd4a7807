import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.data.warp import _linear, _nearest, grown, warp_ids, warp_image


def _pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(height * 100 + width)
    ids = rng.integers(0, 200, (height, width)).astype(np.uint16)
    return np.repeat(ids[..., None], 3, -1).astype(np.uint8), ids


def _matrix(linear: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    return np.column_stack([linear, np.array(shift, float)])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(-30, 30), st.integers(-30, 30))
@settings(max_examples=40, deadline=None)
def test_shifts_equal_mirrored_padding(height: int, width: int, x: int, y: int) -> None:
    image, ids = _pair(height, width)
    matrix = _matrix(np.eye(2), (x, y))
    pad = 50
    expected = np.pad(ids, pad, mode="reflect")[pad + y : pad + y + 15, pad + x : pad + x + 15]
    assert np.array_equal(warp_ids(ids, matrix, 15), expected)
    assert np.array_equal(warp_image(image, matrix, 15)[..., 2], expected)


@given(st.integers(0, 3), st.booleans())
@settings(max_examples=8, deadline=None)
def test_right_angles_and_mirrors_are_exact(turns: int, mirror: bool) -> None:
    image, ids = _pair(9, 9)
    linear = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), turns)
    linear = linear * [-1.0, 1.0] if mirror else linear
    matrix = _matrix(linear, (0, 0))
    matrix[:, 2] = 4.5 - linear @ [4.5, 4.5]
    expected = np.rot90(ids, turns)
    expected = expected[:, ::-1] if mirror else expected
    assert np.array_equal(warp_ids(ids, matrix, 9), expected)
    assert np.array_equal(warp_image(image, matrix, 9)[..., 0], expected)


@given(st.floats(-3.2, 3.2), st.floats(0.7, 1.5), st.floats(-5, 25), st.floats(-5, 25))
@settings(max_examples=30, deadline=None)
def test_image_and_ids_move_together(angle: float, scale: float, x: float, y: float) -> None:
    """A smooth ramp: the id under a pixel is what the linear image shows there, to half a step."""
    rows, columns = np.mgrid[:40, :50]
    ramp = (2 * columns + rows).astype(np.uint16)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    matrix = _matrix(turn, (x, y))
    ids = warp_ids(ramp, matrix, 20)
    image = warp_image(np.repeat(ramp[..., None], 3, -1).astype(np.uint8), matrix, 20)
    assert np.abs(ids - image[..., 1].astype(int)).max() <= 2


def test_half_a_pixel_is_the_mean() -> None:
    image = np.array([[[10] * 3, [20] * 3, [40] * 3]], np.uint8)
    assert warp_image(image, _matrix(np.eye(2), (0.5, 0)), 1)[0, 0].tolist() == [15, 15, 15]


def test_grown_has_the_old_output_in_its_middle() -> None:
    _, ids = _pair(40, 40)
    matrix = _matrix(np.array([[0.9, 0.2], [-0.2, 0.9]]), (3.3, 11.1))
    wide = warp_ids(ids, grown(matrix, 4), 18)
    assert np.array_equal(wide[4:-4, 4:-4], warp_ids(ids, matrix, 10))


@given(
    turns=st.integers(0, 3),
    mirror=st.booleans(),
    x=st.integers(-4, 40),
    y=st.integers(-4, 30),
    off=st.sampled_from((0.0, 0.25, 0.5)),
    stretch=st.sampled_from((1.0, 1.0, -1.0, 1.25)),
    side=st.integers(1, 24),
)
@settings(max_examples=150, deadline=None)
def test_plain_cuts_are_what_the_general_way_gives(
    turns: int, mirror: bool, x: int, y: int, off: float, stretch: float, side: int
) -> None:
    """Crops that only turn and mirror are slices of the source; elsewhere they cannot be."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
    ids = rng.integers(0, 70_000, (30, 40)).astype(np.int32)
    linear = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), turns) * [
        -1.0 if mirror else 1.0,
        stretch,
    ]
    matrix = _matrix(linear, (x + off, y))
    slow_image, slow_ids = np.empty((side, side, 3), np.uint8), np.empty((side, side), np.int32)
    _linear(image, matrix, slow_image)
    _nearest(ids, matrix, slow_ids)
    found = warp_image(image, matrix, side)
    assert np.array_equal(found, slow_image)
    assert np.array_equal(warp_ids(ids, matrix, side), slow_ids)
    assert found.flags.c_contiguous
    assert not np.shares_memory(found, image)
