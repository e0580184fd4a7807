import numpy as np
import pytest

from histocerb.core.geometry import Region
from histocerb.core.instances import InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.inference.containers import ContainerMap
from histocerb.inference.spill import Spill, morton

CLASSES = ("round", "long")


def squares(corners, side=6):
    """A table of squares with these upper left corners (x, y)."""
    corners = np.asarray(corners, np.float64)
    count = len(corners)
    ring = np.array([[0, 0], [side, 0], [side, side], [0, side]])
    return InstanceTable(
        kind="thing",
        classes=CLASSES,
        class_code=np.arange(count, dtype=np.int16) % 3 - 1,
        class_prob=np.linspace(0, 1, count, dtype=np.float32),
        score=np.linspace(1, 0, count, dtype=np.float32),
        centroid=corners + side / 2,
        area_px=np.full(count, float(side**2)),
        bbox=np.concatenate([corners, corners + side], axis=1),
        first_px=corners[:, ::-1].astype(np.int64),
        outlines=Outlines.from_rings([[corner + ring] for corner in corners]),
    )


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    places = rng.permutation(450)[:300]
    return squares(np.stack([places % 18 * 200 + 2, places // 18 * 120], axis=1))


def spilled(tmp_path, parts):
    spill = Spill(tmp_path / "things.arrow", "thing", CLASSES)
    for part in parts:
        spill.add(part)
    spill.seal()
    return spill


def same(a, b):
    np.testing.assert_array_equal(a.outlines.points, b.outlines.points)
    for name in ("class_code", "class_prob", "score", "centroid", "area_px", "bbox", "first_px"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_order_is_by_cell_along_the_curve_then_by_first_pixel(table, tmp_path):
    spill = spilled(tmp_path, [table])
    found = InstanceTable.concat(list(spill))
    assert len(found) == len(spill) == 300
    cells = found.first_px // 1008
    keys = [(morton(int(c), int(r)), *first) for (r, c), first in zip(cells, found.first_px, strict=True)]
    assert keys == sorted(keys)
    spill.close()


def test_order_does_not_depend_on_the_parts(table, tmp_path):
    one = spilled(tmp_path, [table])
    whole = InstanceTable.concat(list(one))
    one.close()
    shuffled = table.select(np.random.default_rng(1).permutation(len(table)))
    parts = [shuffled.select(np.arange(start, 300, 7)) for start in range(7)]
    many = spilled(tmp_path, [*parts, squares(np.zeros((0, 2)))])
    same(InstanceTable.concat(list(many)), whole)
    many.close()


def test_morton_curve_begins_with_a_z():
    assert [morton(x, y) for y in range(2) for x in range(4)] == [0, 1, 4, 5, 2, 3, 6, 7]
    assert len({morton(x, y) for x in range(40) for y in range(40)}) == 1600


@pytest.mark.parametrize("factor", [1, 2])
def test_container_map_is_the_painted_table(table, tmp_path, factor):
    spill = spilled(tmp_path, [table])
    found = InstanceTable.concat(list(spill))
    region = Region(700, 290, 900, 700)
    expected = found.label_image((3000, 3700))[::factor, ::factor]
    labels = ContainerMap(spill, factor).read(region)
    np.testing.assert_array_equal(labels, expected[region.slices()])
    assert len(np.unique(labels)) > 10
    spill.close()


def test_container_cut_by_an_odd_border_covers_its_last_pixel(tmp_path):
    spill = spilled(tmp_path, [squares([[4, 4]], side=7)])
    labels = ContainerMap(spill, 2).read(Region(0, 0, 8, 8))
    expected = np.zeros((8, 8), np.int32)
    expected[2:6, 2:6] = 1
    np.testing.assert_array_equal(labels, expected)
    spill.close()
