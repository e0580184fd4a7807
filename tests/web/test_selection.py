"""Files to take away: whole, or not there at all."""

import io
import json
import tempfile

import pyarrow.parquet as pq
import pytest
from drawn import nuclei, write_result
from served import NAME, Client, start

from histocerb.web import selection

SLIDE = f"api/slides/{NAME}"
FORMATS = ["csv", "geojson"]


@pytest.fixture
def out(slide_file, tmp_path):
    write_result(tmp_path / "trial" / NAME, slide_file)
    return tmp_path / "trial"


@pytest.fixture
def ask(out):
    link, stop = start(out)
    yield Client(link)
    stop()


class Full(io.BytesIO):
    """A file on a disk without room."""

    def write(self, data):
        raise OSError(28, "No space left on device")

    def close(self):
        super().close()
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_an_error_and_no_empty_file(form, ask, monkeypatch):
    monkeypatch.setattr(selection.tempfile, "SpooledTemporaryFile", lambda size: Full())
    answer = ask(f"{SLIDE}/selection.{form}")
    assert answer.status == 500
    error = json.loads(answer.body)["error"]
    assert f"expected room for the file in {tempfile.gettempdir()}" in error
    assert "No space left" in error


@pytest.mark.parametrize("form", FORMATS)
def test_damaged_rows_are_an_error_and_no_empty_file(form, out, ask):
    path = out / NAME / "objects.parquet"
    table = pq.read_metadata(path)
    group = table.row_group(table.num_row_groups - 1)
    (column,) = (c for c in map(group.column, range(table.num_columns)) if c.path_in_schema == "geometry")
    with path.open("r+b") as file:
        file.seek(column.dictionary_page_offset or column.data_page_offset)
        file.write(b"\xff" * column.total_compressed_size)
    assert ask(f"{SLIDE}/counts").status == 200
    answer = ask(f"{SLIDE}/selection.{form}")
    assert answer.status == 500
    assert "found a damaged file objects.parquet" in json.loads(answer.body)["error"]


def test_a_file_without_objects_names_its_columns(ask):
    header, *rows = ask(f"{SLIDE}/selection.csv").body.decode().splitlines()
    assert len(rows) > 0
    empty = ask(f"{SLIDE}/selection.csv?corners=-50,-50,-40,-50,-40,-40").body.decode()
    assert empty.splitlines() == [header]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_waits_on_disk_is_whole(form, ask, monkeypatch):
    expected = ask(f"{SLIDE}/selection.{form}").body
    assert expected.count(b"nucleus" if form == "csv" else b'"detection"') == len(nuclei().codes)
    monkeypatch.setattr(selection, "_IN_MEMORY_BYTES", 1 << 10)
    monkeypatch.setattr(selection, "_CHUNK_BYTES", 1 << 10)
    assert ask(f"{SLIDE}/selection.{form}").body == expected
