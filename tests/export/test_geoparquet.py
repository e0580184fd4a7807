import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from histocerb.core.errors import OutputError
from histocerb.export.geoparquet import write_geoparquet


def test_rows_and_metadata_come_back(table, tmp_path):
    many = pa.concat_tables([table] * 9000).combine_chunks().replace_schema_metadata({"geo": "{}"})
    path = tmp_path / "o.geoparquet"
    assert write_geoparquet(many.to_batches(4096), many.schema, path) == 45_000
    found = pq.read_table(path)
    assert found.schema.metadata[b"geo"] == b"{}"
    assert found.drop_columns("score").equals(many.drop_columns("score"))
    assert [pq.ParquetFile(path).metadata.row_group(n).num_rows for n in range(3)] == [20_480, 20_480, 4_040]


def test_no_rows_make_an_empty_table(table, tmp_path):
    path = tmp_path / "o.geoparquet"
    assert write_geoparquet(table[:0].to_batches(), table.schema, path) == 0
    assert pq.read_table(path).num_rows == 0


def test_folder_that_is_not_there(table, tmp_path):
    with pytest.raises(OutputError, match="choose another --out"):
        write_geoparquet(table.to_batches(), table.schema, tmp_path / "none" / "o.geoparquet")


def test_error_in_the_middle_leaves_the_old_file(table, tmp_path):
    path = tmp_path / "o.geoparquet"
    path.write_bytes(b"old")

    def batches():
        yield from table.to_batches()
        raise OutputError("damaged")

    with pytest.raises(OutputError, match="damaged"):
        write_geoparquet(batches(), table.schema, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["o.geoparquet"]
