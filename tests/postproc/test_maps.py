from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.postproc.maps import cutoff, factor, quantise, reduce_mean, task_maps

GLAND = CERBERUS.task("gland")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_quantise_rounds_to_the_nearest_byte(dtype):
    found = quantise(np.array([0, 0.001, 0.003, 0.5, 0.55, 0.9981, 1], dtype))
    assert found.dtype == np.uint8
    assert found.tolist() == [0, 0, 1, 128, 140, 255, 255]


def test_quantised_bytes_survive_a_second_time():
    levels = np.arange(256, dtype=np.uint8)
    assert quantise(quantise(levels / 255)).tolist() == levels.tolist()


@pytest.mark.parametrize("values", [[-0.5, 0.2], [0.0, 17.0], [0.5, np.nan]])
def test_what_is_no_probability_is_refused(values):
    with pytest.raises(UsageError, match="softmax"):
        quantise(np.array(values))


@pytest.mark.parametrize("hundredths", range(101))
def test_cutoff_is_the_exact_threshold(hundredths):
    above = [q for q in range(256) if Fraction(q, 255) > Fraction(hundredths, 100)]
    assert above == list(range(cutoff(hundredths / 100) + 1, 256))


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9)), st.integers(1, 3))
def test_reduce_mean_rounds_half_up_and_repeats_the_border(values, by):
    np.testing.assert_array_equal(reduce_mean(values, by), reference.reduced(values, by))


@pytest.mark.parametrize(("downsample", "expected"), [(1.0, 1), (0.5, 2), (1 / 3, 3)])
def test_factor(downsample, expected):
    assert factor(replace(GLAND.postproc, downsample=downsample)) == expected


@pytest.mark.parametrize("downsample", [0.75, 0.4, 2.0])
def test_factor_must_be_whole(downsample):
    with pytest.raises(UsageError, match="downsample"):
        factor(replace(GLAND.postproc, downsample=downsample))


def test_task_maps_are_bytes_at_the_resolution_of_the_task():
    instance = np.zeros((5, 4, 3), np.float32)
    instance[:2, :2, 1], instance[4, :, 2] = 1, 0.5
    types = np.zeros((5, 4, 3))
    types[..., 2] = np.arange(4) % 4 == 2
    container = np.arange(5)[:, None] + np.zeros(4) >= 2
    maps = task_maps({"gland.instance": instance, "gland.type": types}, GLAND, container)
    assert maps.inside.tolist() == [[255, 0], [0, 0], [0, 0]]
    assert maps.contour.tolist() == [[0, 0], [0, 0], [128, 128]]
    assert maps.types.tolist() == [[0, 2]] * 3
    assert maps.container.tolist() == [[False] * 2, [True] * 2, [True] * 2]


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"gland.instance": np.zeros((4, 4, 2))}, "background, inside, contour"),
        ({"gland.instance": np.zeros((4, 4))}, r"found shape \(4, 4\)"),
        ({"gland.instance": np.zeros((4, 4, 3)), "gland.type": np.zeros((4, 5), np.uint8)}, "one image"),
        ({"gland.instance": np.zeros((4, 4, 3)), "gland.type": np.full((4, 4), 3)}, "numbers from 0 to 2"),
        ({"gland.instance": np.zeros((4, 4, 3)), "gland.type": np.zeros((4, 4))}, "found float64"),
    ],
)
def test_maps_of_a_wrong_shape_are_refused(maps, message):
    with pytest.raises(UsageError, match=message):
        task_maps(maps, GLAND)


def test_numbers_that_are_no_classes_are_refused():
    """Compiled code counts them by place, and does not look where that is."""
    maps = {"nuclei.instance": np.zeros((4, 6, 3), np.float32)}
    for number, dtype in ((-1, np.int64), (-1, np.int8), (7, np.uint8), (300, np.int32), (2**40, np.int64)):
        types = np.zeros((4, 6), dtype)
        types[1, 2] = number
        with pytest.raises(UsageError, match="class numbers from 0 to 6"):
            task_maps(maps | {"nuclei.type": types}, CERBERUS.task("nuclei"))
    assert task_maps(maps | {"nuclei.type": np.full((4, 6), 6)}, CERBERUS.task("nuclei")).types.max() == 6
