import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.outlines import Outlines, offsets, ranges

SQUARE = [(1, 1), (5, 1), (5, 5), (1, 5)]
HOLE = [(2, 2), (2, 4), (4, 4), (4, 2)]
POINT = st.tuples(st.integers(-9, 9), st.integers(-9, 9))
OBJECTS = st.lists(st.lists(st.lists(POINT, max_size=5), max_size=3), max_size=6)


def nested(outlines: Outlines) -> list[list[list[list[float]]]]:
    return [[ring.tolist() for ring in outlines.rings(i)] for i in range(len(outlines))]


def floats(objects):
    return [[[[float(x), float(y)] for x, y in ring] for ring in rings] for rings in objects]


@settings(max_examples=40, deadline=None)
@given(OBJECTS)
def test_from_rings_and_back(objects):
    assert nested(Outlines.from_rings(objects)) == floats(objects)


@settings(max_examples=60, deadline=None)
@given(OBJECTS, st.data())
def test_select_is_indexing(objects, data):
    index = data.draw(st.lists(st.integers(0, len(objects) - 1), max_size=8)) if objects else []
    chosen = Outlines.from_rings(objects).select(index)
    assert nested(chosen) == floats([objects[i] for i in index])


@settings(max_examples=30, deadline=None)
@given(OBJECTS, st.data())
def test_select_by_booleans(objects, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(objects), max_size=len(objects)))
    chosen = Outlines.from_rings(objects).select(np.array(mask, bool))
    assert nested(chosen) == floats([o for o, keep in zip(objects, mask, strict=True) if keep])


@settings(max_examples=30, deadline=None)
@given(st.lists(OBJECTS, max_size=3))
def test_concat_is_addition(parts):
    joined = Outlines.concat([Outlines.from_rings(part) for part in parts])
    assert nested(joined) == floats([o for part in parts for o in part])


def test_transform_scales_then_shifts():
    moved = Outlines.from_rings([[SQUARE]]).transform(0.5, (10, 20))
    assert moved.points.tolist() == [[10.5, 20.5], [12.5, 20.5], [12.5, 22.5], [10.5, 22.5]]


def test_paint_square_with_hole():
    image = Outlines.from_rings([[SQUARE, HOLE]]).paint((6, 7), np.array([9], np.int32))
    expected = np.zeros((6, 7), np.int32)
    expected[1:5, 1:5] = 9
    expected[2:4, 2:4] = 0
    np.testing.assert_array_equal(image, expected)


def test_paint_clips_at_every_side():
    image = Outlines.from_rings([[[(-3, -3), (9, -3), (9, 9), (-3, 9)]]]).paint(
        (2, 3), np.array([4], np.int32)
    )
    np.testing.assert_array_equal(image, np.full((2, 3), 4))
    outside = Outlines.from_rings([[SQUARE]]).transform(1, (100, -100)).paint((4, 4), np.array([1], np.int32))
    assert not outside.any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 12), st.floats(0, 9)), min_size=3, max_size=3, unique=True))
def test_paint_of_a_triangle_asks_for_pixel_centres(corners):
    triangle = shapely.Polygon(corners)
    if triangle.area < 0.5:
        return
    ring = shapely.get_coordinates(shapely.orient_polygons(triangle).exterior)[:-1]
    image = Outlines.from_rings([[ring]]).paint((9, 12), np.array([1], np.int32))
    y, x = np.mgrid[:9, :12] + 0.5
    centres = shapely.points(x, y)
    clear = shapely.distance(centres, triangle.exterior) > 1e-6
    np.testing.assert_array_equal(image[clear] == 1, shapely.contains(triangle, centres)[clear])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_paint_of_pixel_edges_is_exact(seed):
    """Many disjoint rectangles, each with its own value, come back pixel by pixel."""
    rng = np.random.default_rng(seed)
    expected = np.zeros((20, 24), np.int32)
    objects, values = [], []
    for row in range(0, 20, 5):
        for column in range(0, 24, 6):
            top, left = row + rng.integers(0, 3), column + rng.integers(0, 3)
            bottom, right = top + rng.integers(1, 3), left + rng.integers(1, 4)
            objects.append([[(left, top), (right, top), (right, bottom), (left, bottom)]])
            values.append(int(rng.integers(1, 1000)))
            expected[top:bottom, left:right] = values[-1]
    image = Outlines.from_rings(objects).paint((20, 24), np.array(values, np.int32))
    np.testing.assert_array_equal(image, expected)


def test_empty():
    assert len(Outlines.empty()) == 0
    assert nested(Outlines.concat([])) == []
    assert not Outlines.empty().paint((2, 2), np.zeros(0, np.int32)).any()


@pytest.mark.parametrize("counts", [[], [3, 1], [0, 2, 0]])
def test_offsets_and_ranges(counts):
    counts = np.array(counts, np.int64)
    assert offsets(counts).tolist() == [sum(counts[:i]) for i in range(len(counts) + 1)]
    starts = 10 * np.arange(len(counts))
    expected = [s + i for s, c in zip(starts, counts, strict=True) for i in range(c)]
    assert ranges(starts, counts).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(OBJECTS, st.integers(0, 4))
def test_paint_over_takes_each_object_with_its_holes(objects, shift):
    outlines = Outlines.from_rings(objects).transform(0.7, (shift, shift))
    expected = np.zeros((9, 8), np.int32)
    for n in range(len(objects)):
        expected[outlines.select([n]).paint((9, 8), np.ones(1, np.int32)) != 0] = n + 1
    values = np.arange(1, len(objects) + 1, dtype=np.int32)
    np.testing.assert_array_equal(outlines.paint_over((9, 8), values), expected)


def test_paint_over_does_not_go_through_all_objects_for_each(monkeypatch):
    outlines = Outlines.from_rings([[SQUARE, HOLE]] * 50)
    monkeypatch.setattr(Outlines, "select", lambda *_: pytest.fail("goes through all objects"))
    assert np.count_nonzero(outlines.paint_over((6, 7), np.ones(50, np.int32))) == 12


def test_paint_over_lets_the_later_object_win():
    squares = [[[(x, 1), (x + 4, 1), (x + 4, 5), (x, 5)]] for x in (1, 3, -2)]
    image = Outlines.from_rings(squares).paint_over((6, 7), np.array([5, 8, 9], np.int32))
    assert image[2].tolist() == [9, 9, 5, 8, 8, 8, 8]
    assert image[0].tolist() == image[5].tolist() == [0] * 7


def test_paint_over_fills_outlines_that_cross_themselves():
    eight = [(0, 0), (4, 4), (4, 0), (0, 4)]  # two triangles, walked around in opposite directions
    image = Outlines.from_rings([[eight], []]).paint_over((4, 4), np.array([3, 4], np.int32))
    assert image[1:3, 0].tolist() == image[1:3, 3].tolist() == [3, 3]
    assert image[0, 1:3].tolist() == image[3, 1:3].tolist() == [0, 0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-6, 14)] * 2, *[st.integers(1, 9)] * 2), max_size=5),
    st.floats(-0.4, 0.4),
)
def test_paint_over_is_painting_one_by_one(boxes, shift):
    rings = [[[(x, y), (x + w, y), (x + w, y + h), (x, y + h)]] for x, y, w, h in boxes]
    outlines = Outlines.from_rings(rings).transform(1.0, (shift, shift))
    expected = np.zeros((11, 12), np.int32)
    for n in range(len(boxes)):
        alone = outlines.select([n]).paint((11, 12), np.ones(1, np.int32))
        expected[alone != 0] = n + 1
    assert np.array_equal(
        outlines.paint_over((11, 12), np.arange(1, len(boxes) + 1, dtype=np.int32)), expected
    )
