import os
import uuid

import pytest

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.sources import find_slides
from histocerb.slides.remote import RemoteFile, file_system


@pytest.fixture
def tree(tmp_path):
    """Slides, and what lies beside them."""
    for name in (
        "one/a.svs",
        "one/b.NDPI",
        "one/notes.txt",
        "one/._a.svs",
        "one/deep/c.tif",
        "one/deep/er/d.tiff",
        "one/slide.svs/inside.svs",
        "results/e/overview.png",
        "results/e/manifest.json",
        "two/x[1].png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return tmp_path


def names(*sources):
    return [slide.name for slide in find_slides(sources)]


def test_files_are_taken_as_they_are(tree):
    assert names(tree / "one/notes.txt", tree / "none.svs", tree / "two/x[1].png") == [
        "notes",
        "none",
        "x[1]",
    ]
    found = find_slides([tree / "one/a.svs", tree / "none.svs"], 0.5)
    assert [(slide.file_bytes, slide.mpp) for slide in found] == [(len("one/a.svs"), 0.5), (0, 0.5)]


def test_a_folder_gives_its_own_slides(tree):
    assert names(tree / "one") == ["a", "b"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("one/*", ["a", "b"]),
        ("one/**/*.tif*", ["c", "d"]),
        ("**/*.svs", ["a", "inside"]),
        ("two/*.png", ["x[1]"]),
    ],
)
def test_globs(tree, pattern, expected):
    assert sorted(names(tree / pattern)) == expected


def test_pictures_of_results_are_no_slides(tree):
    with pytest.raises(UsageError, match="expected slides"):
        names(tree / "results/**/*.png")


@pytest.mark.parametrize("source", ["results", "one/*.bif", "two/*.svs"])
def test_nothing_found_is_wrong_usage(tree, source):
    with pytest.raises(UsageError, match=f"{source.split('/')[0]}.*expected slides"):
        names(tree / source)


def test_each_slide_once(tree):
    assert names(tree / "one", tree / "one/a.svs", tree / "one/*.svs") == ["a", "b"]


def test_two_slides_of_one_name_are_refused(tree):
    (tree / "two/a.tif").touch()
    with pytest.raises(UsageError, match=r"different names, found .*a\.svs and .*a\.tif; .*`name`"):
        names(tree / "one", tree / "two")


@pytest.mark.parametrize(
    "name", ["..svs", "run.json.svs", "failures.csv.png", ".hidden.svs", "x" * 201 + ".svs"]
)
def test_a_file_whose_name_is_none_for_a_folder_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="name for a result folder"):
        names(tmp_path / name)


def test_size_of_formats_with_a_folder(tmp_path):
    (tmp_path / "m").mkdir()
    for path, size in (("m.mrxs", 3), ("m/Data0.dat", 500), ("m/Slidedat.ini", 40)):
        (tmp_path / path).write_bytes(b"x" * size)
    assert find_slides([tmp_path / "m.mrxs"])[0].file_bytes == 543


@pytest.mark.skipif(os.name == "nt", reason="such names do not exist there")
def test_a_name_that_is_no_text(tmp_path):
    path = os.fsdecode(bytes(tmp_path) + b"/\xff.svs")
    with pytest.raises(UsageError, match="name for a result folder"):
        names(type(tmp_path)(path))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("study [1]/x[1].svs", ["x[1]"]),
        ("study [1]", ["x[1]", "y"]),
        ("plain/x[12].svs", ["x1", "x2"]),
        ("plain/x?.svs", ["x1", "x2"]),
    ],
)
def test_urls_are_patterns_where_there_is_no_such_file(source, expected):
    folder = RemoteFile(f"memory://{uuid.uuid4().hex}")
    for name in ("study [1]/x[1].svs", "study [1]/y.svs", "plain/x1.svs", "plain/x2.svs"):
        fs, path = file_system(f"{folder}/{name}")
        fs.pipe_file(path, b"x")
    assert names(folder / source) == expected
