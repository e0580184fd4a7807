import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from histocerb.metrics.matching import match
from histocerb.metrics.segmentation import panoptic_quality

SHAPE = (7, 9)
IDS = hnp.arrays(np.int32, SHAPE, elements=st.sampled_from([0, 1, 2, 5, 2**31 - 1]))


def naive(truth, pred):
    pairs = {}
    for t in np.unique(truth[truth > 0]):
        for p in np.unique(pred[pred > 0]):
            shared = np.count_nonzero((truth == t) & (pred == p))
            if shared:
                pairs[int(t), int(p)] = (shared, shared / np.count_nonzero((truth == t) | (pred == p)))
    return pairs


@settings(max_examples=60, deadline=None)
@given(IDS, IDS)
def test_equals_one_comparison_per_pair(truth, pred):
    found = match(truth, pred)
    ids = zip(found.truth_ids[found.truth].tolist(), found.pred_ids[found.pred].tolist(), strict=True)
    values = zip(found.shared.tolist(), found.iou.tolist(), strict=True)
    assert dict(zip(ids, values, strict=True)) == naive(truth, pred)
    assert [np.count_nonzero(truth == t) for t in found.truth_ids] == found.truth_area.tolist()
    assert [np.count_nonzero(pred == p) for p in found.pred_ids] == found.pred_area.tolist()


@settings(max_examples=20, deadline=None)
@given(IDS, IDS)
def test_swapping_sides_keeps_the_pairs(truth, pred):
    there, back = match(truth, pred), match(pred, truth)
    assert sorted(zip(there.truth, there.pred, there.iou, there.dice, strict=True)) == sorted(
        zip(back.pred, back.truth, back.iou, back.dice, strict=True)
    )


def test_background_everywhere_or_nowhere():
    nothing, one = np.zeros((3, 4), np.int32), np.ones((3, 4), np.uint8)
    assert len(match(nothing, nothing).truth_ids) == 0
    assert match(one, one).iou.tolist() == [1.0]
    assert match(np.zeros((0, 5), np.int32), np.zeros((0, 5), np.int32)).shared.tolist() == []


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.int64])
def test_only_which_pixels_are_equal_matters(pair, dtype):
    """Ids with gaps and above 16 bits, in another order, give the overlaps of the same pixels."""
    truth, pred = (np.unique(ids, return_inverse=True)[1].astype(np.int64) for ids in pair)
    truth, pred = truth * (pair[0] > 0), pred * (pair[1] > 0)
    spread = 1 if dtype == np.uint16 else 70_001
    expected, found = match(truth, pred), match((truth * spread).astype(dtype), pred.astype(np.uint16))
    assert found.truth_ids.tolist() == (expected.truth_ids * spread).tolist()
    assert found.shared.tolist() == expected.shared.tolist()
    assert found.truth_area.tolist() == expected.truth_area.tolist()
    assert panoptic_quality(found) == panoptic_quality(expected)


def test_wrong_input():
    ids = np.zeros((3, 4), np.int32)
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(4, 3\)"):
        match(ids, ids.T)
    with pytest.raises(ValueError, match="found -1"):
        match(ids, ids - 1)


def test_is_fast():
    rng = np.random.default_rng(0)
    ids = np.zeros((1000, 1000), np.int32)
    rows, columns = np.mgrid[-7:8, -7:8]
    disk = rows**2 + columns**2 <= 49
    for index, (y, x) in enumerate(rng.integers(7, 993, (2000, 2))):
        ids[y - 7 : y + 8, x - 7 : x + 8][disk] = index + 1
    pred = np.roll(ids, 2, 1)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        quality = panoptic_quality(match(ids, pred))
        seconds.append(time.process_time() - start)
    assert quality.tp > 1000
    assert min(seconds) < 0.05
