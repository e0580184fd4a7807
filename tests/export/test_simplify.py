import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.outlines import Outlines
from histocerb.core.wkb import decode_polygons, encode_polygons
from histocerb.export.simplify import simplified


def batch_of(polygons: list[shapely.Polygon]) -> pa.RecordBatch:
    rings = [[shapely.get_coordinates(ring)[:-1] for ring in (p.exterior, *p.interiors)] for p in polygons]
    return pa.record_batch(
        {"object_id": pa.array(range(len(polygons))), "geometry": encode_polygons(Outlines.from_rings(rings))}
    )


def staircase(seed: int) -> shapely.Polygon:
    """A blob with a hole, its edges along pixels."""
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    radius = 20 + rng.uniform(0, 4) * np.cos(3 * turn + rng.uniform(0, 6))
    blob = shapely.Polygon(np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1))
    blob = blob.difference(shapely.Point(rng.uniform(-8, 8, 2)).buffer(4))
    y, x = np.mgrid[-30:30, -30:30]
    inside = shapely.contains_xy(blob, x + 0.5, y + 0.5)
    return shapely.union_all(shapely.box(x[inside], y[inside], x[inside] + 1, y[inside] + 1))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 1.0, 3.0]))
def test_what_is_left_out_is_within_the_tolerance(seed, tolerance):
    shape = staircase(seed)
    (batch,) = simplified([batch_of([shape])], tolerance)
    (found,) = shapely.from_wkb(batch.column("geometry").to_pylist())
    assert found.is_valid
    assert len(found.interiors) == len(shape.interiors)
    full, simple = (shapely.get_coordinates(polygon) for polygon in (shape, found))
    assert len(simple) < len(full)
    assert {tuple(point) for point in simple} <= {tuple(point) for point in full}
    assert shapely.distance(shapely.points(full), found.boundary).max() <= tolerance + 1e-9


def test_other_columns_and_encoding_stay(table):
    (batch,) = simplified(table.combine_chunks().to_batches(), 0.1)
    assert batch.schema == table.schema
    names = [name for name in table.column_names if name not in ("geometry", "score")]
    assert pa.Table.from_batches([batch]).select(names).equals(table.select(names))
    assert len(decode_polygons(batch.column("geometry"))) == len(table)


def test_zero_keeps_the_shape():
    shape = staircase(3)
    (batch,) = simplified([batch_of([shape])], 0)
    (found,) = shapely.from_wkb(batch.column("geometry").to_pylist())
    assert shapely.symmetric_difference(found, shape).area == pytest.approx(0)


def test_no_rows():
    (batch,) = simplified([batch_of([])], 1)
    assert batch.num_rows == 0
