import math

import numpy as np
import pytest
from scipy.spatial.distance import directed_hausdorff

from histocerb.metrics.matching import match
from histocerb.metrics.objects import object_dice, object_f1, object_hausdorff


def masks(ids):
    return [ids == i for i in np.unique(ids[ids > 0])]


def shared(a, b):
    return np.count_nonzero(a & b)


def hausdorff(a, b):
    a, b = np.argwhere(a), np.argwhere(b)
    return max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0])


def largest(mask, others):
    overlap = [shared(mask, other) for other in others]
    return others[int(np.argmax(overlap))] if overlap and max(overlap) else None


def weighted(objects, scores):
    areas = [np.count_nonzero(o) for o in objects]
    return sum(a * s for a, s in zip(areas, scores, strict=True)) / sum(areas) if areas else None


def mean_of_sides(truth, pred, score):
    sides = [
        weighted(truth, [score(t, pred) for t in truth]),
        weighted(pred, [score(p, truth) for p in pred]),
    ]
    sides = [side for side in sides if side is not None]
    return np.mean(sides) if sides else math.nan


def test_f1_equals_the_definition(pair):
    truth, pred = masks(pair[0]), masks(pair[1])
    found_truth = set()
    tp = 0
    for p in pred:
        overlap = [shared(p, t) for t in truth]
        best = int(np.argmax(overlap)) if overlap else -1
        if overlap and overlap[best] >= 0.5 * np.count_nonzero(truth[best]):
            tp += 1
            found_truth.add(best)
    counts = object_f1(match(*pair))
    assert (counts.tp, counts.fp, counts.fn) == (tp, len(pred) - tp, len(truth) - len(found_truth))


def test_f1_by_hand():
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])
    pred = np.array([[1, 1, 0, 0, 0, 5, 0, 0, 0]])
    counts = object_f1(match(truth, pred))
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 1)
    assert (counts.precision, counts.recall, counts.f1) == (0.5, 0.5, 0.5)
    assert (counts + counts).f1 == 0.5


def test_dice_equals_the_definition(pair):
    def score(mask, others):
        partner = largest(mask, others)
        if partner is None:
            return 0.0
        return 2 * shared(mask, partner) / (np.count_nonzero(mask) + np.count_nonzero(partner))

    expected = mean_of_sides(masks(pair[0]), masks(pair[1]), score)
    assert object_dice(match(*pair)).value == pytest.approx(expected, nan_ok=True)


def test_hausdorff_equals_the_definition(pair):
    def score(mask, others):
        partner = largest(mask, others)
        if partner is not None:
            return hausdorff(mask, partner)
        return min((hausdorff(mask, other) for other in others), default=math.inf)

    expected = mean_of_sides(masks(pair[0]), masks(pair[1]), score)
    assert object_hausdorff(*pair).value == pytest.approx(expected, nan_ok=True)


def test_partner_at_a_distance_is_the_one_of_smallest_hausdorff_distance():
    rng = np.random.default_rng(1)
    for _ in range(8):
        truth, pred = np.zeros((40, 60), np.int32), np.zeros((40, 60), np.int32)
        for index in range(9):
            height, width = rng.integers(1, 9, 2)
            row, column = rng.integers(0, 32), rng.integers(0, 52)
            side = truth if index % 3 == 0 else pred
            side[row : row + height, column : column + width] = 100_000 * (index + 1)
        pred[truth > 0] = 0
        distances = [[hausdorff(t, p) for p in masks(pred)] for t in masks(truth)]
        truth_side = weighted(masks(truth), np.min(distances, axis=1))
        pred_side = weighted(masks(pred), np.min(distances, axis=0))
        assert object_hausdorff(truth, pred).value == pytest.approx((truth_side + pred_side) / 2)


def test_interior_of_a_filled_ring_counts():
    disk = np.zeros((21, 21), np.int32)
    disk[1:20, 1:20] = 1
    ring = disk.copy()
    ring[2:19, 2:19] = 0
    assert object_hausdorff(disk, ring).value == 9


def test_one_side_empty():
    nothing, one = np.zeros((4, 4), np.int32), np.ones((4, 4), np.int32)
    assert object_dice(match(one, nothing)).value == 0
    assert object_hausdorff(one, nothing).value == math.inf
    assert object_hausdorff(nothing, one).value == math.inf
    assert object_f1(match(one, nothing)).f1 == 0
    assert math.isnan(object_dice(match(nothing, nothing)).value)
    assert math.isnan(object_hausdorff(nothing, nothing).value)
    assert math.isnan(object_f1(match(nothing, nothing)).f1)
    assert math.isnan(object_f1(match(nothing, nothing)).precision)
    assert math.isnan(object_f1(match(nothing, nothing)).recall)


def test_pooling_two_images_equals_one_image_with_both(pair):
    truth, pred = pair
    gap = np.zeros((truth.shape[0], 200), np.int32)
    shift = int(max(truth.max(), pred.max())) + 1
    both = [np.hstack([ids, gap, np.where(ids > 0, ids + shift, 0)]) for ids in pair]
    pooled = object_dice(match(truth, pred)) + object_dice(match(truth, pred))
    assert object_dice(match(*both)).value == pytest.approx(pooled.value, nan_ok=True)
