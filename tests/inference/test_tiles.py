from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.geometry import WindowGrid
from histocerb.inference.tiles import TileTracker

PLACES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=12, unique=True)


@settings(max_examples=60, deadline=None)
@given(places=PLACES, side=st.integers(1, 4))
def test_tile_is_ready_with_the_windows_in_or_around_it_and_the_tiles_before_it(places, side):
    grid = WindowGrid.of(4900, 3500)
    windows = [grid.window(*place) for place in places]
    tracker = TileTracker(grid, windows, side)
    expected = tracker.tiles()
    done, ready = [], []
    for window in windows:
        done.append(window)
        for tile in tracker.complete(window):
            around = tile.grow(grid.output_px)
            touching = [w for w in windows if not w.output.intersect(around).is_empty]
            assert all(w in done for w in touching)
            ready.append(tile)
        waiting = expected[len(ready) :][:1]
        around = [tile.grow(grid.output_px) for tile in waiting]
        assert all(
            any(w not in done and not w.output.intersect(one).is_empty for w in windows) for one in around
        )
    assert ready == expected
    assert not tracker.tiles()
    for window in windows:
        assert any(tile.contains(window.output.intersect(grid.bounds)) for tile in ready)
