import numpy as np
import pytest

from histocerb.core.instances import NO_CLASS, InstanceTable
from histocerb.core.outlines import Outlines


def boxes(kind: str, corners: list[tuple[int, int, int, int]], codes: list[int]) -> InstanceTable:
    bbox = np.array(corners, np.float64).reshape(-1, 4)
    left, top, right, bottom = bbox.T
    return InstanceTable(
        kind=kind,
        classes=("a", "b"),
        class_code=np.array(codes, np.int16),
        class_prob=np.linspace(0, 1, len(codes), dtype=np.float32),
        score=np.linspace(1, 0, len(codes), dtype=np.float32),
        centroid=np.stack([(left + right) / 2, (top + bottom) / 2], axis=1),
        area_px=(right - left) * (bottom - top),
        bbox=bbox,
        first_px=np.stack([top, left], axis=1).astype(np.int64),
        outlines=Outlines.from_rings([[[(x, y), (r, y), (r, b), (x, b)]] for x, y, r, b in corners]),
    )


@pytest.fixture
def table() -> InstanceTable:
    return boxes("thing", [(0, 0, 2, 2), (3, 1, 6, 4), (1, 5, 4, 6)], [1, NO_CLASS, 0])


def test_label_image_numbers_rows_from_one(table):
    image = table.label_image((6, 7))
    assert image.dtype == np.int32
    for row, (left, top, right, bottom) in enumerate(table.bbox.astype(int)):
        assert (image[top:bottom, left:right] == row + 1).all()
    assert np.count_nonzero(image) == table.area_px.sum()


def test_select_reorders_every_column(table):
    chosen = table.select([2, 0])
    assert chosen.class_names() == ["a", "b"]
    assert chosen.bbox.tolist() == table.bbox[[2, 0]].tolist()
    assert chosen.area_px.tolist() == [3, 4]
    assert chosen.first_px.tolist() == [[5, 1], [0, 0]]
    assert chosen.outlines.rings(0)[0].tolist() == table.outlines.rings(2)[0].tolist()
    assert table.select(table.area_px > 3).score.tolist() == table.score[[0, 1]].tolist()


def test_select_of_nothing(table):
    for index in ([], np.zeros(0), np.zeros(0, int), np.zeros(3, bool)):
        assert len(table.select(index)) == len(table.select(index).outlines) == 0


def test_concat_inverts_select(table):
    joined = InstanceTable.concat([table.select([0]), table.select([1, 2])])
    assert joined.class_names() == table.class_names() == ["b", None, "a"]
    np.testing.assert_array_equal(joined.label_image((6, 7)), table.label_image((6, 7)))


def test_concat_refuses_other_kinds(table):
    with pytest.raises(ValueError, match="different kinds"):
        InstanceTable.concat([table, InstanceTable.empty("other", table.classes)])
    with pytest.raises(ValueError, match="different kinds"):
        InstanceTable.concat([table, InstanceTable.empty("thing", ("x",))])


def test_shift_moves_everything(table):
    moved = table.shift(10, 20)
    assert moved.bbox[1].tolist() == [13, 21, 16, 24]
    assert moved.centroid[1].tolist() == [14.5, 22.5]
    assert moved.first_px[1].tolist() == [21, 13]
    assert moved.area_px.tolist() == table.area_px.tolist()
    np.testing.assert_array_equal(moved.label_image((26, 17))[20:, 10:], table.label_image((6, 7)))


def test_empty():
    empty = InstanceTable.empty("thing", ("a", "b"))
    assert len(empty) == len(empty.outlines) == 0
    assert not empty.label_image((3, 3)).any()
    assert len(InstanceTable.concat([empty, boxes("thing", [(0, 0, 1, 1)], [0])])) == 1
