import json
import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.outlines import Outlines
from histocerb.core.qupath import NAMESPACE, feature_ids, features
from histocerb.core.wkb import encode_polygons


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5))
def test_feature_ids_are_uuid5(object_ids):
    assert feature_ids(object_ids) == [str(uuid.uuid5(NAMESPACE, str(i))) for i in object_ids]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e7, 1e7)] * 2), min_size=3, max_size=6))
def test_any_coordinate_is_within_a_thousandth(ring):
    batch = pa.record_batch(
        {
            "object_id": [1],
            "kind": ["nucleus"],
            "class": ["plasma"],
            "geometry": encode_polygons(Outlines.from_rings([[ring]])),
            **{name: pa.array([1.0], pa.float32()) for name in ("area_um2", "class_prob", "score")},
        }
    )
    feature = json.loads(features(batch, ())[0].as_py())
    found = feature["geometry"]["coordinates"][0]
    assert found[:-1] == pytest.approx(np.array(ring), abs=0.00051, rel=0)
    assert found[0] == found[-1]
