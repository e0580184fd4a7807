import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import OutputError
from histocerb.core.outlines import Outlines
from histocerb.core.wkb import decode_polygons, encode_polygons

SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]
HOLE = [(1, 1), (1, 2), (2, 2), (2, 1)]
COORDINATE = st.floats(-1e7, 1e7, allow_nan=False)
RING = st.lists(st.tuples(COORDINATE, COORDINATE), max_size=6)
OBJECTS = st.lists(st.lists(RING, max_size=4), max_size=8)


def same(a: Outlines, b: Outlines) -> bool:
    return (
        np.array_equal(a.points, b.points)
        and np.array_equal(a.ring_offsets, b.ring_offsets)
        and np.array_equal(a.object_offsets, b.object_offsets)
    )


def test_shapely_reads_what_is_encoded():
    found = shapely.from_wkb(encode_polygons(Outlines.from_rings([[SQUARE, HOLE], [SQUARE]])).to_pylist())
    assert shapely.equals_exact(found[0], shapely.Polygon(SQUARE, [HOLE]))
    assert shapely.equals_exact(found[1], shapely.Polygon(SQUARE))


def test_what_shapely_writes_is_decoded():
    wkb = [shapely.to_wkb(p, byte_order=1) for p in (shapely.Polygon(SQUARE, [HOLE]), shapely.Polygon())]
    assert same(decode_polygons(pa.array(wkb)), Outlines.from_rings([[SQUARE, HOLE], []]))


@settings(max_examples=60, deadline=None)
@given(OBJECTS)
def test_round_trip(objects):
    outlines = Outlines.from_rings(objects)
    assert same(decode_polygons(encode_polygons(outlines)), outlines)


@settings(max_examples=30, deadline=None)
@given(OBJECTS, st.data())
def test_slices_chunks_and_large_binaries_decode_alike(objects, data):
    outlines = Outlines.from_rings(objects)
    start = data.draw(st.integers(0, len(outlines)))
    stop = data.draw(st.integers(start, len(outlines)))
    array = encode_polygons(outlines)
    assert same(decode_polygons(array[start:stop]), outlines.select(np.arange(start, stop)))
    assert same(decode_polygons(array.cast(pa.large_binary())), outlines)
    chunks = pa.chunked_array([array[:start], array[start:]])
    assert same(decode_polygons(chunks), outlines)


def test_empty_chunked_array():
    assert same(decode_polygons(pa.chunked_array([], pa.binary())), Outlines.empty())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x01\x03\x00\x00\x00\x01\x00\x00\x00",
        shapely.to_wkb(shapely.Point(1, 2), byte_order=1),
        shapely.to_wkb(shapely.Polygon(SQUARE), byte_order=0),
        shapely.to_wkb(shapely.Polygon(SQUARE), byte_order=1) + b"\x00",
        shapely.to_wkb(shapely.Polygon(SQUARE), byte_order=1)[:-1],
    ],
    ids=["nothing", "no ring", "point", "big-endian", "too long", "cut"],
)
def test_other_bytes_are_refused_with_the_row(value):
    good = shapely.to_wkb(shapely.Polygon(SQUARE), byte_order=1)
    with pytest.raises(OutputError, match="row 1"):
        decode_polygons(pa.array([good, value]))


def test_nulls_are_refused():
    with pytest.raises(OutputError, match="1 without"):
        decode_polygons(pa.array([None], pa.binary()))
