from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from histocerb.core.errors import DataError, UsageError
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.plain import DATA_SET
from histocerb.data.validate import validate

OPTIONS = ReadOptions(mpp=0.4, task="nuclei")
TABLE = "\ufeffstem,id,class\nlabels\\b.npy,70000,plasma\nb,3,epithelial\n\n"


def read(folder: Path, options: ReadOptions = OPTIONS):
    return DATA_SET.read(folder, options)


def ids() -> np.ndarray:
    label = np.zeros((20, 24), np.int32)
    label[2:6, 2:6], label[8:12, 8:12] = 3, 9
    return label


@pytest.fixture
def folder(tmp_path) -> Path:
    for below in ("Images", "labels"):
        (tmp_path / below).mkdir()
    image = np.zeros((20, 24, 3), np.uint8)
    image[..., 0] = 200  # blue, first in a file
    for name in ("a.PNG", "b.jpg", "TCGA-A6-2671-01Z_c.tif"):
        assert cv2.imwrite(str(tmp_path / "Images" / name), image)
    cv2.imwrite(str(tmp_path / "labels" / "a.png"), ids().astype(np.uint16) * 1000)
    np.save(tmp_path / "labels" / "b.npy", np.where(ids() == 9, 70_000, ids()))
    tifffile.imwrite(tmp_path / "labels" / "TCGA-A6-2671-01Z_c.tiff", ids().astype(np.uint32))
    (tmp_path / "classes.csv").write_text(TABLE, encoding="utf-8")
    return tmp_path


def test_labels_of_every_format(folder):
    tcga, a, b = (entry.load() for entry in read(folder))
    assert [s.name for s in (tcga, a, b)] == ["TCGA-A6-2671-01Z_c", "a", "b"]
    assert [s.patient for s in (tcga, a, b)] == ["TCGA-A6-2671", "folder-a", "folder-b"]
    assert {(s.source, s.mpp) for s in (tcga, a, b)} == {("folder", 0.4)}
    assert np.array_equal(tcga.objects["nuclei"].ids, ids())
    assert np.unique(a.objects["nuclei"].ids).tolist() == [0, 3000, 9000]
    assert a.objects["nuclei"].classes == {}
    assert b.objects["nuclei"].classes == {3: "epithelial", 70_000: "plasma"}
    assert a.image[0, 0].tolist() == [0, 0, 200]
    for sample in (tcga, a, b):
        validate(sample)


def test_patients_in_a_table(folder):
    whose = folder / "patients.csv"
    whose.write_text("stem,patient\na.PNG,P-7\nb,P-7\nTCGA-A6-2671-01Z_c,P-9\n")
    entries = read(folder)
    assert [entry.load().patient for entry in entries] == ["P-9", "P-7", "P-7"]
    assert all(whose in entry.files for entry in entries)
    for content, words in (
        ("stem,patient\na,1\nb,1\n", "found none of TCGA-A6-2671-01Z_c"),
        ("stem,patient\na,1\nb,1\nTCGA-A6-2671-01Z_c,2\nd,3\n", "found one of d, which is no image"),
        ("stem,patient\na,1\na,2\n", "expected one patient of a, found 1 and 2"),
        ("stem,patient\na,\n", "expected one patient of a, found none"),
    ):
        whose.write_text(content)
        with pytest.raises(DataError, match=words):
            read(folder)


def test_other_names_of_classes(folder):
    (folder / "classes.csv").write_text(TABLE.replace("plasma", "PC"))
    with pytest.raises(DataError, match=r"classes\.csv: expected classes .*found 'PC'"):
        read(folder)
    for options, classes in (
        (ReadOptions(mpp=0.4, task="nuclei", drop_unmapped=True), {3: "epithelial"}),
        (ReadOptions(mpp=0.4, task="nuclei", classes={"PC": "plasma"}), {3: "epithelial", 70_000: "plasma"}),
    ):
        assert read(folder, options)[2].load().objects["nuclei"].classes == classes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ReadOptions(mpp=0.4), "one of the tasks gland, nuclei, lumen|one of the tasks nuclei, gland, lumen"),
        (ReadOptions(mpp=0.4, task="tissue"), "found 'tissue'; give one of them with --task"),
        (ReadOptions(task="gland"), "in micrometres per pixel, found None; give it with --mpp"),
        (ReadOptions(task="gland", mpp=-1), "found -1"),
    ],
)
def test_task_and_resolution_are_needed(folder, options, message):
    with pytest.raises(UsageError, match=message):
        read(folder, options)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("stem,class\nb,plasma\n", "no id"),
        ("stem,id,class\nd,3,plasma\n", "expected names of images, found d"),
        ("stem,id,class\nb,0,plasma\n", "one row per id from 1, found '0'"),
        ("stem,id,class\nb,x,plasma\n", "one row per id from 1, found 'x'"),
        ("stem,id,class\nb,3,plasma\nb,3,plasma\n", "found 3 of b twice"),
    ],
)
def test_tables_that_are_wrong(folder, table, message):
    (folder / "classes.csv").write_text(table)
    with pytest.raises(DataError, match=rf"classes\.csv: .*{message}"):
        read(folder)


def test_folders_and_files_that_are_wrong(folder, tmp_path):
    (folder / "classes.csv").write_text("stem,id,class\nb,4,plasma\n")
    with pytest.raises(
        DataError, match=r"b\.npy: expected pixels of every id in classes\.csv, found none of \[4\]"
    ):
        read(folder)[2].load()
    np.save(folder / "labels" / "b.npy", ids()[1:])
    with pytest.raises(DataError, match=r"b\.npy: expected \(20, 24\) pixels"):
        read(folder)[2].load()
    cv2.imwrite(str(folder / "labels" / "a.png"), np.zeros((20, 24, 3), np.uint8))
    with pytest.raises(DataError, match=r"a\.png: expected H x W object ids"):
        read(folder)[1].load()
    (folder / "labels" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.PNG: expected its labels"):
        read(folder)
    (folder / "Images" / "a.PNG").unlink()
    (folder / "Images" / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"b\.npy: expected its image"):
        read(folder)
    with pytest.raises(DataError, match=r"nowhere: expected images and their labels"):
        read(tmp_path / "nowhere")


def test_names_with_dots(folder: Path) -> None:
    for path in [*folder.glob("*/b.*")]:
        path.rename(path.with_stem("b.v1"))
    (folder / "classes.csv").write_text("stem,id,class\nb.v1,3,epithelial\n")
    named = {entry.name: entry.load() for entry in read(folder)}
    assert named["b.v1"].objects["nuclei"].classes == {3: "epithelial"}
