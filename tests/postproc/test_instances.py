from __future__ import annotations

import numpy as np
import pytest
import reference
from adversarial import assert_same, cases, chains, head_maps, small_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import UsageError
from histocerb.core.instances import NO_CLASS
from histocerb.core.tasks import CERBERUS
from histocerb.postproc import instances, postprocess
from histocerb.postproc.blocks import Stitcher

DIVIDED = small_spec(20, 9, split=((0.6, 0.8), 8), outer=False), small_spec(40, 4, 5, 1.0, split=((0.9,), 2))
SPECS = (small_spec(), small_spec(1, 1, 7, 1.0), small_spec(200, 20, 3, 0.5), *DIVIDED, CERBERUS)


def compare(table, inside, contour, types, task, container=None):
    """The table must say what the slow reference says."""
    params, by, shape = task.postproc, round(1 / task.postproc.downsample), inside.shape
    labels = reference.segment(inside, contour, params, container)
    full = reference.at_working_resolution(labels, by, shape)
    assert (table.label_image(shape) == full).all()
    small = types[::by, ::by] if types is not None else None
    expected = reference.rows(labels, reference.reduced(inside, by), small, len(task.classes) + 1, by, shape)
    columns = (table.class_code, table.class_prob, table.score, table.centroid, table.area_px, table.bbox)
    found = np.column_stack([*columns, table.first_px])
    np.testing.assert_allclose(found, np.array(expected).reshape(-1, 12), rtol=1e-6)
    return full > 0


@settings(max_examples=50, deadline=None)
@given(cases(), st.sampled_from(SPECS))
def test_equals_the_slow_reference(case, spec):
    maps = head_maps(case, spec)
    tables = postprocess(maps, spec)
    glands = None
    for task in spec.objects:
        instance = maps[task.heads[0].name]
        types = maps[task.heads[1].name] if task.classes else None
        container = glands if task.postproc.within else None
        found = compare(tables[task.name], instance[..., 1], instance[..., 2], types, task, container)
        glands = found if task.name == "gland" else glands
    assert list(tables) == [task.name for task in spec.objects]


def test_large_images_are_computed_in_pieces_with_the_same_result(monkeypatch):
    spec, seen = small_spec(), []
    monkeypatch.setattr(instances, "_PIECE_PX", 16)
    monkeypatch.setattr(
        Stitcher, "add_tile", lambda self, tile, add=Stitcher.add_tile: seen.append(tile) or add(self, tile)
    )
    for seed in range(4):
        maps = head_maps((chains, seed, (90, 71)), spec)
        in_pieces = postprocess(maps, spec)
        with monkeypatch.context() as whole:
            whole.setattr(instances, "_PIECE_PX", 1000)
            at_once = postprocess(maps, spec)
        for name, table in at_once.items():
            assert_same(in_pieces[name], table)
    assert len(seen) == 4 * (30 + 9 + 30)


def test_missing_heads_are_left_out():
    spec = small_spec()
    maps = head_maps((chains, 5, (48, 48)), spec)
    only_lumen = postprocess({"lumen.instance": maps["lumen.instance"]}, spec)
    assert list(only_lumen) == ["lumen"]
    assert only_lumen["lumen"].area_px.sum() > postprocess(maps, spec)["lumen"].area_px.sum()
    untyped = postprocess({"nuclei.instance": maps["nuclei.instance"]}, spec)["nuclei"]
    assert len(untyped)
    assert (untyped.class_code == NO_CLASS).all()
    assert postprocess({"tissue.patch": np.zeros((2, 2, 9))}, CERBERUS) == {}


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (3000, 0)])
def test_images_without_pixels_have_no_objects(shape):
    maps = {head.name: np.zeros((*shape, len(head.channels))) for head in CERBERUS.heads}
    tables = postprocess(maps, CERBERUS)
    assert {name: len(table) for name, table in tables.items()} == {"nuclei": 0, "gland": 0, "lumen": 0}
    assert tables["gland"].classes == CERBERUS.task("gland").classes


def test_maps_of_two_images_are_refused():
    maps = {"nuclei.instance": np.zeros((8, 8, 3)), "gland.instance": np.zeros((8, 9, 3))}
    with pytest.raises(UsageError, match="one image"):
        postprocess(maps, CERBERUS)


def test_probabilities_and_their_bytes_give_the_same_objects():
    spec = small_spec()
    maps = head_maps((chains, 8, (60, 48)), spec)
    floats = {name: m / np.float32(255) if m.ndim == 3 else m for name, m in maps.items()}
    for name, table in postprocess(maps, spec).items():
        assert_same(postprocess(floats, spec)[name], table)
