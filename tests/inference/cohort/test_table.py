import uuid
from pathlib import Path

import pytest

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.sources import find_slides
from histocerb.inference.cohort.table import read_table
from histocerb.slides.remote import RemoteFile, file_system


@pytest.fixture
def write(tmp_path):
    def call(text, encoding="utf-8"):
        path = tmp_path / "cohort.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return call


def test_columns_are_used_and_carried(write, tmp_path):
    path = write(
        'slide, mpp ,name,grade,"note, long"\nx/a.svs,0.25,first,2,"b, c"\n\n,,,,\n/y/b.svs,,, ,\n',
        "utf-8-sig",
    )
    first, second = read_table(path)
    assert (first.path, first.name, first.mpp) == (tmp_path / "x/a.svs", "first", 0.25)
    assert first.columns == {"grade": "2", "note, long": "b, c"}
    assert (second.path.as_posix(), second.name, second.mpp) == ("/y/b.svs", "b", None)
    assert second.columns == {"grade": "", "note, long": ""}


def test_resolution_of_the_table_goes_before_that_of_the_call(write):
    path = write("slide,mpp\na.svs,0.25\nb.svs,\n")
    assert [slide.mpp for slide in find_slides([path], 0.5)] == [0.25, 0.5]


def test_reasons_of_a_table_of_failures_are_not_carried_along(write, tmp_path):
    path = write("slide,mpp,name,reason,patient\n/x/a.svs,0.25,a,no such file,P1\n")
    (own,) = read_table(path)
    (failed,) = read_table(path.rename(tmp_path / "failures.csv"))
    assert (failed.path, failed.mpp, failed.columns) == (own.path, 0.25, {"patient": "P1"})
    assert own.columns == {"reason": "no such file", "patient": "P1"}


def test_columns_without_a_heading_are_left_out(write):
    assert read_table(write(",slide,patient\n0,a.svs,P1\n"))[0].columns == {"patient": "P1"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "found nothing"),
        ("file,mpp\na.svs,0.5\n", "`slide`, found file, mpp"),
        ("slide;mpp\na.svs;0.5\n", "`slide`, found slide;mpp"),
        ("slide,mpp\n", "a row per slide"),
        ("slide,mpp\na.svs,abc\n", "line 2: .*'abc'"),
        ("slide,mpp\na.svs,0.5\nb.svs,nan\n", "line 3: .*'nan'"),
        ("slide,mpp\na.svs,inf\n", "'inf'"),
        ("slide,mpp\na.svs,-0.5\n", "'-0.5'"),
        ("slide,mpp\na.svs,0\n", "'0'"),
        ("slide,mpp\n,0.5\n", "line 2: .*empty cell"),
        ("slide,mpp\na.svs\n", "expected 2 cells .* found 1"),
        ("slide\na.svs,0.5\n", "expected 1 cells .* found 2"),
        ("slide,mpp,mpp\na.svs,1,1\n", "`mpp` twice"),
        ("slide\na.svs\na.svs\n", "found 2 called 'a'"),
        ("slide\nx/a.svs\ny/a.tif\n", "found 2 called 'a'"),
        ("slide,name\na.svs,n\nb.svs,n\n", "found 2 called 'n'"),
        ('slide\n"a.svs\n', "cannot be read"),
        ("slide\na\0.svs\n", "cannot be read|name for a result folder"),
    ],
)
def test_faulty_tables_are_one_sentence(write, text, word):
    with pytest.raises(UsageError, match=word) as caught:
        read_table(write(text))
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..",
        ".",
        "/etc/x",
        "a/b",
        "a\\b",
        "..\\x",
        "C:x",
        "\\\\host\\x",
        ".work",
        "run.json",
        "summary.parquet",
    ],
)
def test_names_that_lead_elsewhere_are_refused(write, name):
    with pytest.raises(UsageError, match="line 2: expected a name for a result folder"):
        read_table(write(f"slide,name\na.svs,{name}\n"))


def test_other_encodings_are_refused(write):
    with pytest.raises(UsageError, match="UTF-8"):
        read_table(write("slide,note\na.svs,Köln\n", "latin-1"))


def test_missing_table_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        find_slides([tmp_path / "none.csv"])


def test_slides_may_be_urls(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text("slide,mpp\ns3://bucket/slides/a.svs,0.25\nb.svs,\n")
    first, second = read_table(path)
    assert (first.path, first.name, first.location) == (
        RemoteFile("s3://bucket/slides/a.svs"),
        "a",
        "s3://bucket/slides/a.svs",
    )
    assert second.path == tmp_path / "b.svs"


def test_paths_in_a_table_in_a_store(tmp_path):
    folder = RemoteFile(f"memory://{uuid.uuid4().hex}")
    fs, path = file_system(f"{folder}/tables/cohort.csv")
    fs.pipe_file(path, f"slide\n{tmp_path}/a.svs\n../slides/b.svs\n./c.svs\n".encode())
    assert [slide.path for slide in read_table(folder / "tables" / "cohort.csv")] == [
        Path(tmp_path / "a.svs"),
        folder / "slides" / "b.svs",
        folder / "tables" / "c.svs",
    ]
