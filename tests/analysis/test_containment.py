import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.analysis.containment import labels_at

POINTS = st.lists(st.tuples(st.floats(0, 39.99), st.floats(0, 29.99)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(points=POINTS, block_px=st.integers(1, 50))
def test_equals_plain_indexing_and_reads_each_block_once(points, block_px):
    labels = np.random.default_rng(0).integers(0, 1000, (30, 40))
    padded = np.pad(labels, ((0, 50), (0, 50)))
    asked = []

    def read(region):
        asked.append(region)
        return padded[region.slices()]

    array = np.array(points, np.float64).reshape(-1, 2)
    found = labels_at(read, array, block_px)
    assert found.tolist() == [labels[int(y), int(x)] for x, y in points]
    assert len(asked) == len(set(asked))
    assert all(region.x % block_px == region.y % block_px == 0 for region in asked)
