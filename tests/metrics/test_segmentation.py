import math

import numpy as np
import pytest

from histocerb.metrics.matching import match
from histocerb.metrics.segmentation import (
    PanopticQuality,
    aji,
    dice,
    mean_of_defined,
    mpq,
    mpq_plus,
    panoptic_quality,
    panoptic_quality_per_class,
)


def masks(ids):
    return [ids == i for i in np.unique(ids[ids > 0])]


def iou(a, b):
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


def naive_pq(truth, pred):
    values = [iou(t, p) for t in truth for p in pred if iou(t, p) > 0.5]
    return PanopticQuality(len(values), len(pred) - len(values), len(truth) - len(values), sum(values))


def same(a, b):
    return (a.tp, a.fp, a.fn) == (b.tp, b.fp, b.fn) and a.iou_sum == pytest.approx(b.iou_sum)


def test_panoptic_quality_equals_naive(pair):
    truth, pred = pair
    assert same(panoptic_quality(match(truth, pred)), naive_pq(masks(truth), masks(pred)))


def test_perfect_and_hand_made():
    ids = np.array([[1, 1, 0, 2], [1, 1, 0, 2]])
    perfect = panoptic_quality(match(ids, ids))
    assert (perfect.dq, perfect.sq, perfect.pq) == (1, 1, 1)
    pred = np.array([[1, 1, 0, 0], [1, 0, 0, 3]])
    found = panoptic_quality(match(ids, pred))
    assert found == PanopticQuality(tp=1, fp=1, fn=1, iou_sum=0.75)
    assert found.pq == pytest.approx(0.5 * 0.75)


def test_iou_of_exactly_one_half_is_no_match():
    truth, pred = np.array([[1, 1]]), np.array([[1, 0]])
    assert panoptic_quality(match(truth, pred)).tp == 0


def test_nothing_to_find():
    nothing = np.zeros((2, 2), np.int32)
    assert math.isnan(panoptic_quality(match(nothing, nothing)).pq)
    assert panoptic_quality(match(nothing, nothing + 1)).pq == 0
    assert math.isnan(dice(nothing > 0, nothing > 0))
    assert math.isnan(aji(match(nothing, nothing)))


def test_dice():
    assert dice(np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 1], bool)) == pytest.approx(2 / 5)


def test_per_class_equals_naive(pair):
    truth, pred = pair
    rng = np.random.default_rng(0)
    names = np.array(["a", "b", "unwanted"])
    of_truth = {int(i): str(rng.choice(names)) for i in np.unique(truth)}
    of_pred = {int(i): of_truth.get(int(i) // 2, "a") for i in np.unique(pred)}
    of_truth.pop(1, None)
    unknown = [truth == i for i in np.unique(truth[truth > 0]) if int(i) not in of_truth]
    ignored = [i for i in of_pred if any(iou(pred == i, t) > 0.5 for t in unknown)]
    found = panoptic_quality_per_class(match(truth, pred), of_truth, of_pred, ["a", "b"])
    for name in ("a", "b"):
        expected = naive_pq(
            [truth == i for i in np.unique(truth[truth > 0]) if of_truth.get(int(i)) == name],
            [pred == i for i, found in of_pred.items() if i and found == name and i not in ignored],
        )
        assert same(found[name], expected)


def test_mpq_skips_absent_classes_and_mpq_plus_pools():
    images = [
        {"a": PanopticQuality(1, 0, 0, 0.8), "b": PanopticQuality(0, 3, 0, 0.0)},
        {"a": PanopticQuality(0, 0, 1, 0.0), "b": PanopticQuality(1, 0, 1, 0.6)},
    ]
    assert mpq(images).values == pytest.approx((0.4, 0.6 / 1.5))
    assert mpq(images).mean == pytest.approx(0.4)
    assert mpq_plus(images).values == pytest.approx((0.8 / 1.5, 0.6 / (1 + 0.5 * 4)))
    assert mpq_plus(images).classes == ("a", "b")


def test_class_that_is_nowhere_does_not_count():
    images = [{"a": PanopticQuality(1, 0, 0, 0.8), "b": PanopticQuality(0, 0, 0, 0.0)}]
    assert mpq(images).mean == mpq_plus(images).mean == pytest.approx(0.8)
    assert math.isnan(mpq([]).mean)


def test_mean_of_defined():
    assert mean_of_defined([1.0, math.nan, 3.0]) == 2
    assert math.isnan(mean_of_defined([math.nan]))


def naive_aji(truth, pred):
    shared, union, taken = 0, 0, set()
    for t in truth:
        values = [iou(t, p) for p in pred]
        if not values or max(values) == 0:
            union += np.count_nonzero(t)
            continue
        best = int(np.argmax(values))
        taken.add(best)
        shared += np.count_nonzero(t & pred[best])
        union += np.count_nonzero(t | pred[best])
    union += sum(np.count_nonzero(p) for i, p in enumerate(pred) if i not in taken)
    return shared / union if union else math.nan


def test_aji_equals_naive(pair):
    truth, pred = pair
    expected = naive_aji(masks(truth), masks(pred))
    assert aji(match(truth, pred)) == pytest.approx(expected, nan_ok=True)
