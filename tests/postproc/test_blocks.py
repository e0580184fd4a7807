from __future__ import annotations

import io

import numpy as np
import pytest
from adversarial import assert_same, cases, head_maps, small_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.geometry import Region, tiles
from histocerb.core.instances import InstanceTable
from histocerb.postproc.blocks import Stitcher
from histocerb.postproc.maps import TaskMaps, factor, task_maps
from histocerb.postproc.segmenter import find_objects
from histocerb.postproc.table import Frame

SPEC = small_spec()
SPECS = SPEC, small_spec(20, 9, split=((0.6, 0.8), 8), outer=False)
SHAPES = ((1, 50), (70, 3), (64, 64), (75, 90), (101, 58))


class Source:
    """Maps in memory; refuses to be read outside the slide and remembers the largest read."""

    def __init__(self, maps: TaskMaps) -> None:
        self.maps = maps
        self.pixels = 0

    def read(self, region: Region) -> TaskMaps:
        height, width = self.maps.shape
        assert Region(0, 0, width, height).contains(region)
        self.pixels += region.width * region.height
        return self.maps.cut(region.slices())


def canonical(table: InstanceTable) -> InstanceTable:
    return table.select(np.lexsort(table.first_px.T[::-1]))


def whole(maps: TaskMaps, task, shape) -> InstanceTable:
    return find_objects(maps, task, Frame(shape[1], shape[0], factor(task.postproc)))


def all_cases(case, spec):
    """Per task its maps, lumina within a random container."""
    maps, shape = head_maps(case, spec), case[2]
    container = np.random.default_rng(case[1]).random(shape) < 0.97
    for task in spec.objects:
        yield task, task_maps(maps, task, container if task.postproc.within else None)


def is_empty(maps: TaskMaps, tile: Region, by: int) -> bool:
    window = np.s_[-(-tile.y // by) : -(-tile.bottom // by), -(-tile.x // by) : -(-tile.right // by)]
    return not (maps.inside[window].any() or maps.contour[window].any())


def cut(bounds: Region, rng, least=1) -> list[Region]:
    """A random partition into rectangles that do not line up."""
    if rng.random() < 0.15 or max(bounds.width, bounds.height) < 2 * least + 1:
        return [bounds]
    if rng.random() * (bounds.width + bounds.height) < bounds.width and bounds.width > 1:
        at = int(rng.integers(1, bounds.width))
        first = Region(bounds.x, bounds.y, at, bounds.height)
        second = Region(bounds.x + at, bounds.y, bounds.width - at, bounds.height)
    elif bounds.height > 1:
        at = int(rng.integers(1, bounds.height))
        first = Region(bounds.x, bounds.y, bounds.width, at)
        second = Region(bounds.x, bounds.y + at, bounds.width, bounds.height - at)
    else:
        return [bounds]
    return cut(first, rng, least) + cut(second, rng, least)


@settings(max_examples=25, deadline=None)
@given(cases(SHAPES), st.sampled_from(SPECS), st.integers(3, 60), st.randoms(use_true_random=False))
def test_square_tiles_in_any_order_equal_the_whole(case, spec, side, random):
    shape = case[2]
    for task, maps in all_cases(case, spec):
        stitcher = Stitcher(task, shape[::-1], Source(maps))
        order = list(tiles(Region(0, 0, shape[1], shape[0]), side))
        random.shuffle(order)
        found = InstanceTable.concat([stitcher.add_tile(tile) for tile in order])
        assert_same(canonical(found), whole(maps, task, shape))
        assert list(stitcher.finish()) == []
        assert not any(len(array) for array in stitcher.state().values())


@settings(max_examples=25, deadline=None)
@given(cases(SHAPES), st.sampled_from(SPECS), st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_any_partition_with_restarts_and_without_empty_tiles_equals_the_whole(case, spec, seed, least):
    shape, rng = case[2], np.random.default_rng(seed)
    for task, maps in all_cases(case, spec):
        order = cut(Region(0, 0, shape[1], shape[0]), rng, least)
        rng.shuffle(order)
        stitcher, found = Stitcher(task, shape[::-1], Source(maps)), []
        for tile in order:
            if not (is_empty(maps, tile, factor(task.postproc)) and rng.random() < 0.7):
                found.append(stitcher.add_tile(tile))
            if rng.random() < 0.3:
                file = io.BytesIO()
                np.savez(file, **stitcher.state())
                file.seek(0)
                stitcher = Stitcher(task, shape[::-1], Source(maps))
                stitcher.restore(np.load(file))
        found += [InstanceTable.empty(task.kind, task.classes), *stitcher.finish()]
        assert_same(canonical(InstanceTable.concat(found)), whole(maps, task, shape))


def nested_rings(side=120):
    """One ring of 112 px around another around a disc, and a band across the whole slide below them."""
    y, x = np.indices((side + 30, side))
    radius = np.hypot(y - side / 2, x - side / 2)
    inside = (
        ((radius < 56) & (radius > 48)) | ((radius < 36) & (radius > 28)) | (radius < 10) | (y > side + 10)
    )
    return TaskMaps((inside * 255).astype(np.uint8), np.zeros(inside.shape, np.uint8))


@pytest.mark.parametrize("side", [7, 20, 64])
@pytest.mark.parametrize("task", SPEC.objects, ids=lambda task: task.name)
def test_objects_larger_than_tiles_are_found_once(task, side):
    maps = nested_rings()
    by = factor(task.postproc)
    shape = (maps.shape[0] * by, maps.shape[1] * by)
    source = Source(maps)
    stitcher = Stitcher(task, shape[::-1], source)
    tables = [stitcher.add_tile(tile) for tile in tiles(Region(0, 0, *shape[::-1]), side * by)]
    expected = whole(maps, task, shape)
    assert len(expected) == 4
    assert_same(canonical(InstanceTable.concat(tables)), expected)


def test_a_unit_that_is_joined_through_a_tile_left_out_is_found_once():
    inside = np.zeros((24, 24), np.uint8)
    inside[12:18, 6:12] = inside[6:12, 12:18] = 255
    maps, task = TaskMaps(inside, np.zeros_like(inside)), SPEC.task("gland")
    stitcher = Stitcher(task, (48, 48), Source(maps))
    found = [stitcher.add_tile(Region(0, 24, 24, 24)), stitcher.add_tile(Region(24, 0, 24, 24))]
    assert [len(table) for table in found] == [0, 0]
    (rest,) = stitcher.finish()
    assert_same(canonical(rest), whole(maps, task, (48, 48)))
    assert len(rest) == 2


def test_work_is_linear_in_the_slide():
    """Thousands of cut units must not each read a large crop."""
    rng = np.random.default_rng(0)
    inside = np.kron(rng.random((60, 60)) < 0.4, np.pad(np.ones((6, 6)), 2)).astype(np.uint8) * 255
    maps, task = TaskMaps(inside, np.zeros_like(inside)), SPEC.task("nuclei")
    source = Source(maps)
    stitcher = Stitcher(task, inside.shape[::-1], source)
    found = sum(len(stitcher.add_tile(tile)) for tile in tiles(Region(0, 0, *inside.shape[::-1]), 98))
    assert found == len(whole(maps, task, inside.shape)) > 1000
    assert source.pixels < 2 * inside.size


def test_nothing_is_read_where_a_tile_has_no_task_pixel():
    maps = TaskMaps(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    source = Source(maps)
    stitcher = Stitcher(SPEC.task("gland"), (4, 4), source)
    assert len(stitcher.add_tile(Region(1, 1, 1, 1))) == 0
    assert source.pixels == 0
