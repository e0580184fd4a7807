import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.analysis.objects import Scale
from histocerb.analysis.proposals import propose
from histocerb.analysis.tissue import TissueCells, tissue_rows
from histocerb.core.errors import UsageError
from histocerb.core.geometry import Region
from histocerb.core.tasks import CELL_PX, CERBERUS

SCALE = Scale(slide_mpp=0.25, working_mpp=0.5)
TISSUE = CERBERUS.patch.classes
SIDE = 4 * CELL_PX
CELLS = 16
SIZE_PX = (2 * CELLS * CELL_PX, 2 * CELLS * CELL_PX)
"""Level-0 pixels: 2304 working pixels, four regions of SIDE across."""


def nuclei(x, y, doubt):
    """Connective nuclei at places in working pixels."""
    n = len(x)
    return pa.table(
        {
            "object_id": pa.array(np.arange(1, n + 1)),
            "kind": pa.array(["nucleus"] * n),
            "class": pa.array(["connective"] * n),
            "class_prob": pa.array(np.ones(n, np.float32)),
            "score": pa.array((1 - np.asarray(doubt)).astype(np.float32)),
            "x": pa.array((np.asarray(x) * 2).astype(np.float32)),
            "y": pa.array((np.asarray(y) * 2).astype(np.float32)),
            "gland_id": pa.nulls(n, pa.int64()),
            "tissue": pa.array(["stroma"] * n),
        }
    )


def stroma(covered):
    """Cells of certain stroma where `covered` (rows x columns) is True, background elsewhere."""
    names = np.where(covered, TISSUE.index("stroma"), TISSUE.index("background"))
    return tissue_rows(CERBERUS, TissueCells(TISSUE, np.eye(9, dtype=np.float32)[names]), SCALE)


EVERYWHERE = stroma(np.ones((CELLS, CELLS), bool))


def spread(region, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(region.x, region.right, n), rng.uniform(region.y, region.bottom, n)


def test_the_unsure_place_comes_first_and_says_why():
    calm, odd = spread(Region(0, 0, 2304, 2304), 2000), spread(Region(1152, 576, SIDE, SIDE), 100)
    table = nuclei(*np.concatenate([calm, odd], axis=1), [0.05] * 2000 + [0.9] * 100)
    first, *others = propose(table, EVERYWHERE, SIZE_PX, SCALE, 3, SIDE)
    assert first.region == Region(1152, 576, SIDE, SIDE)
    assert first.reasons[0].startswith("nucleus outlines are unsure (0.")
    assert all(first.score > other.score for other in others)


def test_a_crowd_does_not_win_by_its_number():
    crowd, few = spread(Region(0, 0, SIDE, SIDE), 5000), spread(Region(1728, 1728, SIDE, SIDE), 1000)
    table = nuclei(*np.concatenate([crowd, few], axis=1), [0.2] * 5000 + [0.4] * 1000)
    assert propose(table, EVERYWHERE, SIZE_PX, SCALE, 1, SIDE)[0].region == Region(1728, 1728, SIDE, SIDE)


def test_a_single_odd_nucleus_does_not_win():
    many, one = spread(Region(0, 0, SIDE, SIDE), 1000), ([2000.0], [2000.0])
    calm = spread(Region(0, SIDE, 2304, 2304 - SIDE), 2000)
    places = np.concatenate([many, one, calm], axis=1)
    table = nuclei(*places, [0.3] * 1000 + [1.0] + [0.1] * 2000)
    assert propose(table, EVERYWHERE, SIZE_PX, SCALE, 1, SIDE)[0].region == Region(0, 0, SIDE, SIDE)


def test_background_is_not_proposed():
    covered = np.zeros((CELLS, CELLS), bool)
    covered[4:8, 8:12] = True
    table = nuclei(*spread(Region(0, 0, 2304, 2304), 3000), np.full(3000, 0.3))
    found = propose(table, stroma(covered), SIZE_PX, SCALE, 20, SIDE)
    assert found[0].region == Region(8 * CELL_PX, 4 * CELL_PX, SIDE, SIDE)
    tissue = Region(8 * CELL_PX, 4 * CELL_PX, SIDE, SIDE)
    assert all(not proposal.region.intersect(tissue).is_empty for proposal in found)
    assert propose(table, stroma(~np.ones((CELLS, CELLS), bool)), SIZE_PX, SCALE, 2, SIDE) == []


def test_no_objects_and_no_tissue():
    assert propose(nuclei([], [], []), stroma(np.zeros((0, 0), bool)), SIZE_PX, SCALE, 2, SIDE) == []


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(144, 1500), st.integers(60, 2400))
def test_inside_apart_and_the_same_for_any_order_of_rows(seed, n, side, width):
    rng = np.random.default_rng(seed)
    table = nuclei(rng.uniform(0, width, 200), rng.uniform(0, 2304, 200), rng.uniform(0, 1, 200))
    size = (2 * width, SIZE_PX[1])
    found = propose(table, EVERYWHERE, size, SCALE, n, side)
    assert 1 <= len(found) <= n
    bounds = Region(0, 0, width, 2304)
    for i, one in enumerate(found):
        assert bounds.contains(one.region)
        assert (one.region.width, one.region.height) == (min(side, width), min(side, 2304))
        assert all(one.region.intersect(other.region).is_empty for other in found[:i])
        assert one.reasons
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert propose(table.take(rng.permutation(200)), EVERYWHERE, size, SCALE, n, side) == found


def test_score_is_that_of_the_formula():
    rng = np.random.default_rng(5)
    x, y, doubt = rng.uniform(0, 2304, 700), rng.uniform(0, 2304, 700), rng.uniform(0, 1, 700)
    covered = rng.random((CELLS, CELLS)) < 0.7
    (best,) = propose(nuclei(x, y, doubt), stroma(covered), SIZE_PX, SCALE, 1, SIDE)
    scores = {}
    step = SIDE // 8
    doubt = (1 - (1 - doubt).astype(np.float32)).astype(np.float64)
    prior = 0.25 * 700 / (covered.mean() * 16)
    for top in range(0, 2304 - SIDE + 1, step):
        for left in range(0, 2304 - SIDE + 1, step):
            inside = (x >= left) & (x < left + SIDE) & (y >= top) & (y < top + SIDE)
            outline = (doubt[inside].sum() + prior * doubt.mean()) / (inside.sum() + prior)
            centres = (np.arange(8) + 0.5) * step
            share = covered[np.ix_((top + centres).astype(int) // 144, (left + centres).astype(int) // 144)]
            # classes and tissue are certain: terms of 0 with weight 1
            scores[left, top] = share.mean() * outline / 3
    place = max(scores, key=scores.get)
    assert (best.region.x, best.region.y) == place
    assert best.score == pytest.approx(scores[place], abs=1e-6)


@pytest.mark.parametrize(("n", "side"), [(0, 1000), (3, 143)])
def test_too_few_or_too_small(n, side):
    with pytest.raises(UsageError, match=f"found {n} of {side} px"):
        propose(nuclei([], [], []), EVERYWHERE, SIZE_PX, SCALE, n, side)
