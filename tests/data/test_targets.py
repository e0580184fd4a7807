import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.data.borders import split_pieces
from histocerb.data.targets import (
    CONTOUR,
    INSIDE,
    ellipse,
    instance_target,
    membership,
    type_rows,
    type_target,
)

NUCLEI = CERBERUS.task("nuclei")


def _random_ids(seed: int, high: int, size: int = 40) -> np.ndarray:
    """Touching and broken objects of all sizes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, high, (size // 8, size // 8))
    ids = np.kron(coarse, np.ones((8, 8), int)).astype(np.int32)
    ids[rng.random(ids.shape) < 0.01] = 0
    return ids


def _one_by_one(ids: np.ndarray, element_px: int, contour: bool, outer: bool) -> np.ndarray:
    """The definition: every connected piece eroded and dilated alone, contour over background."""
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (element_px, element_px))
    inside, edge = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
    pieces = split_pieces(ids)
    for k in range(1, pieces.max() + 1):
        mask = (pieces == k).astype(np.uint8)
        eroded = cv2.erode(mask, element) > 0
        edge |= ((cv2.dilate(mask, element) if outer else mask) > 0) & ~eroded
        inside |= eroded
    target = np.zeros(ids.shape, np.uint8)
    target[inside] = INSIDE
    target[edge & contour] = CONTOUR
    return target


@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([1, 3, 5, 11]), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whole_map_equals_object_by_object(
    seed: int, high: int, element_px: int, contour: bool, outer: bool
) -> None:
    ids = _random_ids(seed, high)
    found = instance_target(ids, element_px, contour=contour, outer=outer)
    assert np.array_equal(found, _one_by_one(ids, element_px, contour, outer))


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_large_ids_and_renumbering_change_nothing(seed: int) -> None:
    ids = _random_ids(seed, 5)
    expected = instance_target(ids, 3)
    assert np.array_equal(instance_target(ids * 4_000_000, 3), expected)
    assert np.array_equal(instance_target(split_pieces(ids), 3), expected)


def test_a_square_by_hand() -> None:
    ids = np.zeros((7, 7), np.int32)
    ids[2:5, 2:5] = 4
    expected = np.zeros((7, 7), np.uint8)
    expected[1:6, 2:5] = expected[2:5, 1:6] = CONTOUR
    expected[3, 3] = INSIDE
    assert np.array_equal(instance_target(ids, 3), expected)
    assert np.array_equal(instance_target(ids, 3, contour=False), (expected == INSIDE) * INSIDE)
    within = np.where(ids > 0, expected, 0)
    assert np.array_equal(instance_target(ids, 3, outer=False), within)


def test_the_border_of_the_map_does_not_erode() -> None:
    assert (instance_target(np.full((20, 20), 9, np.int32), 11) == INSIDE).all()


def test_elements_are_symmetric_and_odd() -> None:
    for diameter in (1, 3, 5, 11):
        assert np.array_equal(ellipse(diameter), ellipse(diameter)[::-1, ::-1])
    with pytest.raises(UsageError, match="odd"):
        ellipse(4)


def test_types_classes_groups_and_the_unknown() -> None:
    ids = np.array([[0, 1, 2, 3, 9]], np.int32)
    classes = {1: "plasma", 2: "inflammatory", 9: "connective", 70: "epithelial"}
    target = type_target(ids, classes, NUCLEI)
    rows = [*type_rows(NUCLEI), "unknown"]
    assert [rows[row] for row in target[0]] == ["", "plasma", "inflammatory", "unknown", "connective"]
    channels = np.array(NUCLEI.heads[1].channels)
    right = [set(channels[membership(NUCLEI)[row]]) for row in target[0]]
    assert right[0] == right[3] == set()
    assert right[1] == {"plasma"}
    assert right[2] == {"neutrophil", "lymphocyte", "plasma", "eosinophil"}


@pytest.mark.parametrize("name", ["nuclei", "gland"])
def test_membership_of_classes_is_the_identity(name: str) -> None:
    task = CERBERUS.task(name)
    table = membership(task)
    n = len(task.classes)
    assert table.shape == (1 + n + len(task.groups) + 1, 1 + n)
    assert np.array_equal(table[1 : n + 1, 1:], np.eye(n, dtype=bool))
    assert not table[0].any()
    assert not table[-1].any()
    assert not table[:, 0].any()
