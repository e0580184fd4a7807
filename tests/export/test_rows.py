import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from histocerb.core.errors import OutputError, UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.export.rows import BATCH_ROWS, Recorded, object_batches, object_schema, recorded


@pytest.fixture
def path(table, tmp_path):
    pq.write_table(pa.concat_tables([table] * 2000), tmp_path / "objects.parquet", row_group_size=3000)
    return tmp_path / "objects.parquet"


def ids(batches):
    return [i for batch in batches for i in batch.column("object_id").to_pylist()]


def test_all_rows_in_order_in_small_batches(path, table):
    assert max(batch.num_rows for batch in object_batches(path)) <= BATCH_ROWS
    assert ids(object_batches(path)) == table.column("object_id").to_pylist() * 2000


@pytest.mark.parametrize(("kind", "expected"), [("gland", [3]), ("nucleus", [2**40, 7, 8])])
def test_one_kind(path, kind, expected):
    assert ids(object_batches(path, kind)) == expected * 2000


def test_unknown_kind_names_the_known_ones(path):
    with pytest.raises(UsageError, match=r"gland, lumen, nucleus.*'cell'"):
        ids(object_batches(path, "cell"))


def test_missing_file(tmp_path):
    with pytest.raises(OutputError, match="histocerb segment"):
        ids(object_batches(tmp_path / "objects.parquet"))


def test_damaged_file(path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OutputError, match="damaged"):
        ids(object_batches(path))


def test_schema_keeps_its_metadata(path, table):
    schema = table.schema.with_metadata({"geo": "{}"})
    pq.write_table(table.cast(schema), path)
    assert object_schema(path).metadata[b"geo"] == b"{}"
    assert object_schema(path).names == table.column_names


def test_tasks_and_mpp_come_back_from_the_manifest(tmp_path):
    content = {"model": {"tasks": CERBERUS.name}, "slide": {"mpp": 0.25}}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert recorded(tmp_path) == Recorded(CERBERUS, 0.25, (0, 0)), "of an earlier version"
    content["slide"]["origin_px"] = [700, 600]
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    assert recorded(tmp_path).origin_px == (700, 600)


TASKS = f'"model": {{"tasks": "{CERBERUS.name}"}}'


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        '{"model": {}}',
        '{"model": {"tasks": "unheard of"}, "slide": {"mpp": 1}}',
        f"{{{TASKS}}}",
        f'{{{TASKS}, "slide": {{"mpp": null}}}}',
    ],
)
def test_other_manifests_are_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(OutputError, match="manifest"):
        recorded(tmp_path)
