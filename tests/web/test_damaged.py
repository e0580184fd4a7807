"""A result of which outlines are damaged: the rest is shown, and what is missing is said."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from served import NAME, Client, start

SLIDE = f"api/slides/{NAME}"


def damage_outlines(path):
    """Overwrite part of the outlines of every row group."""
    table = pq.read_metadata(path)
    content = bytearray(path.read_bytes())
    (number,) = (n for n in range(table.num_columns) if table.schema.column(n).path == "geometry")
    for group in range(table.num_row_groups):
        column = table.row_group(group).column(number)
        begin = column.dictionary_page_offset or column.data_page_offset
        half = column.total_compressed_size // 2
        content[begin + 60 : begin + half] = b"\xff" * (half - 60)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def ask(cohort, other, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged") / "trial"
    shutil.copytree(cohort, folder)
    damage_outlines(folder / NAME / "objects.parquet")
    link, stop = start(folder, compare=other)
    yield Client(link)
    stop()


def test_what_needs_no_outlines_is_shown(ask):
    assert sum(ask.json(f"{SLIDE}/counts")["gland"].values()) == 2
    assert ask(f"{SLIDE}/dots/nucleus/3/0_0.webp").status == 200


@pytest.mark.parametrize(
    "path", ["outlines/nucleus/0/0_0.bin", "objects/1/crop.jpg", "changes/list?kind=nucleus"]
)
def test_damaged_outlines_are_said_in_a_sentence(ask, path):
    answer = ask(f"{SLIDE}/{path}")
    assert answer.status == 500
    sentence = json.loads(answer.body)["error"]
    assert sentence.startswith(
        f"{NAME}: expected outlines of objects, found a damaged file objects.parquet ("
    )
    assert sentence.endswith("; run histocerb segment again")
