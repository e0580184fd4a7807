import io
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import OutputError
from histocerb.core.instances import NO_CLASS, InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.tables import from_arrow, to_arrow


def table(n: int, seed: int, classes: tuple[str, ...] = ("a", "b")) -> InstanceTable:
    rng = np.random.default_rng(seed)
    return InstanceTable(
        kind="thing",
        classes=classes,
        class_code=rng.integers(NO_CLASS, len(classes), n).astype(np.int16),
        class_prob=rng.random(n, np.float32),
        score=rng.random(n, np.float32),
        centroid=rng.random((n, 2)),
        area_px=rng.random(n),
        bbox=rng.random((n, 4)),
        first_px=rng.integers(-9, 2**40, (n, 2)),
        outlines=Outlines.from_rings(
            [[rng.random((4, 2))] + [rng.random((3, 2))] * (i % 3) for i in range(n)]
        ),
    )


def assert_same(a: InstanceTable, b: InstanceTable) -> None:
    assert (a.kind, a.classes) == (b.kind, b.classes)
    names = [f.name for f in fields(a) if f.name not in ("kind", "classes", "outlines")]
    pairs = [(getattr(a, name), getattr(b, name)) for name in names]
    names = [f.name for f in fields(Outlines)]
    pairs += [(getattr(a.outlines, name), getattr(b.outlines, name)) for name in names]
    for left, right in pairs:
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 8), st.integers(0, 100), st.sampled_from([(), ("a",), ("a", "b")]))
def test_round_trip(n, seed, classes):
    original = table(n, seed, classes)
    assert_same(from_arrow(to_arrow(original)), original)


def test_round_trip_through_a_file():
    original = table(50, 0)
    file = io.BytesIO()
    pq.write_table(to_arrow(original), file, row_group_size=7)
    assert_same(from_arrow(pq.read_table(file)), original)


def test_round_trip_of_parts():
    original = table(9, 1)
    arrow = to_arrow(original)
    assert_same(from_arrow(pa.concat_tables([arrow[:4], arrow[4:]])), original)


def test_classes_are_words_and_null():
    arrow = to_arrow(table(40, 2))
    assert arrow.column("class").to_pylist() == table(40, 2).class_names()


def test_another_table_is_refused():
    with pytest.raises(OutputError, match="metadata"):
        from_arrow(pa.table({"x": [1]}))
