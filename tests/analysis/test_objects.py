import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from histocerb.analysis.objects import (
    NO_OBJECT,
    Scale,
    container_column,
    object_rows,
    object_schema,
    read_objects,
)
from histocerb.core.errors import OutputError
from histocerb.core.instances import NO_CLASS, InstanceTable
from histocerb.core.outlines import Outlines
from histocerb.core.tasks import CERBERUS, TaskSpec
from histocerb.core.wkb import decode_polygons

SCALE = Scale(slide_mpp=0.2, working_mpp=0.5)


def rows(task_name, codes, first_id=1):
    task = CERBERUS.task(task_name)
    corners = np.arange(len(codes))[:, None] * np.array([[10.0, 4.0]]) + 1
    ring = np.array([[0, 0], [2, 0], [2, 3], [0, 3]])
    table = InstanceTable(
        kind=task.kind,
        classes=task.classes,
        class_code=np.array(codes, np.int16),
        class_prob=np.full(len(codes), 0.75, np.float32),
        score=np.full(len(codes), 0.5, np.float32),
        centroid=corners + np.array([1, 1.5]),
        area_px=np.full(len(codes), 6.0),
        bbox=np.concatenate([corners, corners + np.array([2, 3])], axis=1),
        first_px=corners[:, ::-1].astype(np.int64),
        outlines=Outlines.from_rings([[corner + ring] for corner in corners]),
    )
    container = np.array([NO_OBJECT, 7] * len(codes))[: len(codes)]
    tissue = np.array([3, NO_CLASS] * len(codes), np.int16)[: len(codes)]
    return object_rows(CERBERUS, table, first_id, SCALE, container, tissue)


def test_rows_are_in_level_0_pixels_and_micrometres():
    found = rows("nuclei", [2, NO_CLASS], first_id=11).to_pylist()
    first, second = found
    assert (first["object_id"], second["object_id"]) == (11, 12)
    assert (first["kind"], first["class"], first["class_prob"]) == ("nucleus", "lymphocyte", 0.75)
    assert (second["class"], second["class_prob"]) == (None, None)
    assert (first["x"], first["y"]) == (5.0, 6.25)
    assert first["area_um2"] == pytest.approx(6 * 0.25)
    assert first["bbox"] == {"xmin": 2.5, "ymin": 2.5, "xmax": 7.5, "ymax": 10.0}
    assert (first["gland_id"], first["tissue"]) == (None, "inflammatory")
    assert (second["gland_id"], second["tissue"]) == (7, None)
    np.testing.assert_array_equal(
        decode_polygons(rows("nuclei", [2])["geometry"]).rings(0)[0],
        [[2.5, 2.5], [7.5, 2.5], [7.5, 10.0], [2.5, 10.0]],
    )


def test_classes_of_all_kinds_share_a_dictionary():
    joined = pa.concat_tables([rows("nuclei", [5]), rows("gland", [1]), rows("lumen", [NO_CLASS])])
    assert joined["class"].to_pylist() == ["connective", "surface-epithelium", None]
    assert joined["kind"].to_pylist() == ["nucleus", "gland", "lumen"]


def test_without_containers_there_is_no_such_column():
    spec = TaskSpec("nuclei", (CERBERUS.task("nuclei"),))
    assert container_column(spec) is None
    assert container_column(CERBERUS) in object_schema(CERBERUS).names
    assert set(object_schema(CERBERUS).names) - set(object_schema(spec).names) == {"gland_id"}


def test_written_and_read_by_kind(tmp_path):
    path = tmp_path / "objects.parquet"
    table = pa.concat_tables([rows("nuclei", [0, 1]), rows("gland", [0])])
    pq.write_table(table, path)
    assert read_objects(path).equals(table)
    assert read_objects(path, "gland")["class"].to_pylist() == ["gland"]


def test_missing_or_damaged_table_is_one_sentence(tmp_path):
    with pytest.raises(OutputError, match="run histocerb segment"):
        read_objects(tmp_path / "objects.parquet")
    (tmp_path / "objects.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(OutputError, match="damaged"):
        read_objects(tmp_path / "objects.parquet")


def test_read_some_columns_of_a_box(tmp_path):
    path = tmp_path / "objects.parquet"
    pq.write_table(rows("nuclei", [0, 1, 2, 3]), path)  # boxes begin at x = 2.5 + 25 n, 5 px wide
    found = read_objects(path, columns=("object_id",), box=(7.5, 0.0, 52.6, 100.0))
    assert found.to_pydict() == {"object_id": [2, 3]}
    assert read_objects(path, "gland", box=(0.0, 0.0, 1000.0, 1000.0)).num_rows == 0
    assert read_objects(path, box=(0.0, 12.5, 1000.0, 12.6))["object_id"].to_pylist() == [2]
