import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.analysis.changes import NO_PARTNER, ious, most_iou, partners
from histocerb.core.outlines import Outlines
from histocerb.metrics.matching import match
from histocerb.postproc.outlines import trace

SHAPE = (60, 60)


def blobs(seed):
    """Ids of touching objects with holes, as label maps have them."""
    random = np.random.default_rng(seed)
    image = np.zeros(SHAPE, np.int32)
    for number in range(1, 12):
        x, y = random.uniform(0, 60, 2)
        rx, ry = random.uniform(3, 12, 2)
        row, column = np.mgrid[:60, :60] + 0.5
        away = ((column - x) / rx) ** 2 + ((row - y) / ry) ** 2
        image[(away < 1) & (away > random.choice([-1, 0.2]))] = number
    return image


def outlines_of(image):
    """One polygon per id that occurs, in ascending order; several pieces are one object."""
    ids = np.unique(image[image > 0])
    return trace(np.where(image > 0, np.searchsorted(ids, image) + 1, 0).astype(np.int32), len(ids))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_shared_areas_are_those_of_the_pixels(seed):
    truth, pred = blobs(seed), blobs(seed + 1) if seed % 2 else np.roll(blobs(seed), 2, axis=1)
    found = match(truth, pred)
    pairs = np.stack([found.truth, found.pred], axis=1)
    np.testing.assert_allclose(ious(outlines_of(truth), outlines_of(pred), pairs), found.iou, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0]))
def test_partners_are_the_matches_of_the_metrics(seed, scale):
    truth, pred = blobs(seed), np.roll(blobs(seed), (1, 2), axis=(0, 1))
    found = match(truth, pred)
    sizes = len(found.truth_ids), len(found.pred_ids)
    every = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=2).reshape(-1, 2)
    first, second = (outlines_of(image).transform(2 * scale) for image in (truth, pred))
    own, other = partners(every, ious(first, second, every), sizes)
    wanted = np.full(sizes[0], NO_PARTNER)
    same = found.iou > 0.5
    wanted[found.truth[same]] = found.pred[same]
    assert own.tolist() == wanted.tolist()
    assert all(own[n] == m for m, n in enumerate(other) if n != NO_PARTNER)


@pytest.mark.parametrize("slide_mpp", [0.2265, 0.23, 0.26, 0.46, 1.0])
def test_working_pixels_need_not_be_whole_pixels_of_the_slide(slide_mpp):
    truth, pred = blobs(3), np.roll(blobs(3), (1, 2), axis=(0, 1))
    found = match(truth, pred)
    assert ((found.iou > 0.4) & (found.iou < 0.6)).any()
    pairs = np.stack([found.truth, found.pred], axis=1)
    first, second = (
        outlines_of(image).transform(1, (40_001, 60_003)).transform(0.5 / slide_mpp)
        for image in (truth, pred)
    )
    np.testing.assert_allclose(ious(first, second, pairs), found.iou, atol=2e-9)
    itself = np.stack([np.arange(len(first))] * 2, axis=1)
    assert (ious(first, first, itself) == 1).all()


def test_half_is_half_whatever_the_pixel():
    whole = Outlines.from_rings([[[[7, 5], [11, 5], [11, 9], [7, 9]]]])
    half = Outlines.from_rings([[[[7, 5], [11, 5], [11, 7], [7, 7]]]])
    for factor in 0.5 / np.linspace(0.2, 1.1, 200):
        assert ious(whole.transform(factor), half.transform(factor), np.array([[0, 0]])) == 0.5


def test_pixels_of_the_two_may_have_different_sizes():
    first, second = outlines_of(blobs(4)).transform(0.5 / 0.46), outlines_of(blobs(5))
    areas = [np.array([area(one.rings(n)) for n in range(len(one))]) for one in (first, second)]
    pairs = np.argwhere(shapely.intersects(areas[0][:, None], areas[1]))
    own, other = areas[0][pairs[:, 0]], areas[1][pairs[:, 1]]
    wanted = shapely.area(own & other) / shapely.area(own | other)
    assert wanted.max() > 0.2
    np.testing.assert_allclose(ious(first, second, pairs), wanted, atol=2e-9)


def area(rings):
    """What lies within an odd number of rings."""
    found = shapely.Polygon()
    for ring in rings:
        found = shapely.symmetric_difference(found, shapely.make_valid(shapely.Polygon(ring)))
    return found


def test_slanted_outlines_are_close():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 20 + 50
    first, second = Outlines.from_rings([[circle]]), Outlines.from_rings([[circle + np.array([10, 0])]])
    half = np.arccos(0.25)
    shared = 2 * 400 * half - 10 * np.sqrt(400 - 25)
    wanted = shared / (2 * 400 * np.pi - shared)
    assert ious(first, second, np.array([[0, 0]]))[0] == pytest.approx(wanted, abs=0.01)


def test_the_better_of_two_partners_is_taken():
    pairs = np.array([[0, 0], [1, 0], [2, 1], [2, 2]])
    own, other = partners(pairs, np.array([0.6, 0.9, 0.5, 0.51]), (3, 3))
    assert own.tolist() == [NO_PARTNER, 0, 2]
    assert other.tolist() == [1, NO_PARTNER, 2]


def test_boxes_bound_what_outlines_can_share():
    boxes = np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10]])
    assert most_iou(boxes, (np.array([100.0]), np.array([100.0])))[0] == pytest.approx(50 / 150)
    assert most_iou(boxes, (np.array([20.0]), np.array([40.0])))[0] == pytest.approx(20 / 40)
    assert most_iou((boxes[0], boxes[1] + 30), (np.ones(1), np.ones(1)))[0] == 0


def test_nothing_has_no_partner():
    none = Outlines.empty()
    assert len(ious(none, none, np.zeros((0, 2), np.int64))) == 0
    assert partners(np.zeros((0, 2), np.int64), np.zeros(0), (0, 2))[1].tolist() == [NO_PARTNER, NO_PARTNER]
