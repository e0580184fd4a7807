import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.metrics.detection import (
    FALSE_PER_IMAGE,
    Outcome,
    detection_counts,
    detections,
    froc,
    froc_interval,
)
from histocerb.metrics.objects import DetectionCounts
from histocerb.metrics.places import Pairs, near

RADIUS = 2
SCORE = st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9])
PLACE = st.integers(0, 12)


@st.composite
def images(draw):
    """Marks and scored detections on a line, some marks ignored."""
    marks = draw(st.lists(st.tuples(PLACE, st.booleans()), max_size=5))
    found = draw(st.lists(st.tuples(PLACE, SCORE), max_size=7))
    return marks, found, draw(st.booleans())


def line(places):
    return np.array([(x, 0, x, 0) for x in places], np.float64).reshape(-1, 4)


def compared(image):
    marks, found, is_complete = image
    pairs = near(line([x for x, _ in marks]), line([x for x, _ in found]), RADIUS)
    score, ignored = np.array([s for _, s in found], float), np.array([flag for _, flag in marks], bool)
    return detections(pairs, score, len(marks), ignored, is_complete)


def naive(image, threshold):
    """Hits, duplicates and false positives when only detections from a threshold on are there at all."""
    marks, found, _ = image
    taken, hits, twice, false = set(), 0, 0, 0
    for _, x in sorted(((s, x) for x, s in found if s >= threshold), key=lambda item: -item[0]):
        reached = [i for i, (m, _) in enumerate(marks) if abs(m - x) <= RADIUS]
        wanted = [i for i in reached if not marks[i][1]]
        free = sorted((abs(marks[i][0] - x), i) for i in wanted if i not in taken)
        if free:
            taken.add(free[0][1])
            hits += 1
        elif len(reached) == len(wanted):
            twice, false = twice + bool(reached), false + (not reached)
    return hits, twice, false


@settings(max_examples=50, deadline=None)
@given(st.lists(images(), max_size=4), SCORE)
def test_counts_equal_a_comparison_at_that_threshold(batch, threshold):
    expected = [naive(image, threshold) for image in batch]
    hits = sum(hit for hit, _, _ in expected)
    wrong = sum(twice + false for (_, twice, false), image in zip(expected, batch, strict=True) if image[2])
    marks = sum(not ignored for image in batch for _, ignored in image[0])
    found = detection_counts([compared(image) for image in batch], threshold)
    assert found == DetectionCounts(hits, wrong, marks - hits)


def naive_curve(batch):
    marks = sum(not ignored for image in batch for _, ignored in image[0])
    complete = sum(image[2] for image in batch)
    scores = sorted({s for image in batch for _, s in image[1]}, reverse=True)
    curve = []
    for threshold in [math.inf, *scores]:
        expected = [naive(image, threshold) for image in batch]
        false = sum(false for (_, _, false), image in zip(expected, batch, strict=True) if image[2])
        hits = sum(hit for hit, _, _ in expected)
        curve.append((false / complete if complete else math.nan, hits / marks if marks else math.nan))
    return curve


def naive_at(curve, wanted):
    """The best point up to there, and the line to the next one."""
    before = max(point for point in curve if point[0] <= wanted)
    after = [point for point in curve if point[0] > wanted]
    if not after:
        return before[1]
    share = (wanted - before[0]) / (min(after)[0] - before[0])
    return before[1] + share * (min(after)[1] - before[1])


@settings(max_examples=50, deadline=None)
@given(st.lists(images(), max_size=4))
def test_froc_equals_one_pass_per_threshold(batch):
    found, expected = froc([compared(image) for image in batch]), naive_curve(batch)
    assert found.false_per_image == pytest.approx([x for x, _ in expected], nan_ok=True)
    assert found.sensitivity == pytest.approx([y for _, y in expected], nan_ok=True)
    if any(math.isnan(x + y) for x, y in expected):
        assert math.isnan(found.score)
    else:
        assert found.score == pytest.approx(np.mean([naive_at(expected, x) for x in FALSE_PER_IMAGE]))


def test_by_hand():
    first = compared(([(0, False), (10, False)], [(0, 0.9), (1, 0.8), (5, 0.7), (11, 0.6)], True))
    assert first.outcome.tolist() == [Outcome.HIT, Outcome.DUPLICATE, Outcome.FALSE_POSITIVE, Outcome.HIT]
    assert first.mark.tolist() == [0, -1, -1, 1]
    second = compared(([], [(3, 0.5)], True))
    curve = froc([first, second])
    assert curve.threshold.tolist() == [math.inf, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert curve.false_per_image.tolist() == [0, 0, 0, 0.5, 0.5, 1]
    assert curve.sensitivity.tolist() == [0, 0.5, 0.5, 0.5, 1, 1]
    assert [curve.at(x) for x in FALSE_PER_IMAGE] == [0.5, 1, 1, 1, 1, 1]
    assert curve.score == pytest.approx(5.5 / 6)
    assert detection_counts([first, second], 0.6) == DetectionCounts(tp=2, fp=2, fn=0)


def test_equal_scores_give_a_straight_line():
    curve = froc([compared(([(0, False)], [(0, 0.5), (6, 0.5)], True))])
    assert [curve.at(x) for x in (0, 0.25, 1, 8)] == [0, 0.25, 1, 1]


def test_the_stronger_detection_takes_the_mark_and_the_closer_mark_is_taken():
    strong_is_far = compared(([(4, False)], [(4, 0.2), (6, 0.9)], True))
    assert strong_is_far.outcome.tolist() == [Outcome.DUPLICATE, Outcome.HIT]
    assert compared(([(4, False), (6, False)], [(6, 0.9)], True)).mark.tolist() == [1]


def test_false_positives_of_images_with_missing_marks_do_not_count():
    partly = compared(([(0, False)], [(0, 0.9), (9, 0.95)], False))
    empty = compared(([], [(9, 0.5)], True))
    curve = froc([partly, empty])
    assert curve.at(0) == 1
    assert curve.false_per_image[-1] == 1
    assert math.isnan(froc([partly]).score)


def test_interval_draws_patients():
    rng = np.random.default_rng(5)
    batch = []
    for _ in range(30):
        marks = rng.choice(200, 4, replace=False) * 10
        hit = [(int(x), float(s)) for x, s in zip(marks, rng.random(4), strict=True) if rng.random() < 0.7]
        false = [(int(x) * 10 + 5, float(s) * 0.8) for x, s in zip(range(5), rng.random(5), strict=True)]
        batch.append(compared(([(int(x), False) for x in marks], hit + false, True)))
    low, high = froc_interval(batch, range(30), 1, resamples=200)
    assert low < froc(batch).score < high
    assert (low, high) == froc_interval(batch, range(30), 1, resamples=200)
    draws = [rng.integers(0, 30, 30) for _ in range(200)]
    slow = np.quantile([froc([batch[i] for i in draw]).score for draw in draws], [0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(slow), abs=0.04)
    doubled = froc_interval([*batch, *batch], [*range(30), *range(30)], 1, resamples=200)
    assert doubled == pytest.approx((low, high))


def test_interval_without_a_value():
    unmarked = compared(([], [(1, 0.5)], True))
    assert all(math.isnan(end) for end in froc_interval([], "", 0))
    assert all(math.isnan(end) for end in froc_interval([unmarked, unmarked], "ab", 0, resamples=5))


def test_wrong_input():
    none = Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    with pytest.raises(ValueError, match="found 1 nan"):
        detections(none, np.array([0.5, math.nan]), 0)
    with pytest.raises(ValueError, match=r"each of 2 marks, found shape \(1,\)"):
        detections(none, np.array([0.5]), 2, np.array([True]))
