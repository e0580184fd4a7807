from pathlib import Path

import cv2
import numpy as np
import pytest

from histocerb.core.errors import DataError
from histocerb.data.sources.crag import DATA_SET
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.validate import validate


def crag(folder: Path):
    return DATA_SET.read(folder, ReadOptions())


def write(folder: Path, stem: str, label: np.ndarray, annotation: str = "Annotation") -> None:
    for below in ("Images", annotation, "Overlay"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    image = np.zeros((*label.shape, 3), np.uint8)
    image[..., 2] = 180  # red, last in a file
    for below, pixels in (("Images", image), (annotation, label), ("Overlay", image)):
        assert cv2.imwrite(str(folder / below / f"{stem}.png"), pixels)


def label_image() -> np.ndarray:
    label = np.zeros((24, 30), np.uint8)
    label[2:8, 2:8], label[2:8, 8:14], label[15:20, 3:9] = 1, 2, 7
    return label


@pytest.fixture
def folder(tmp_path) -> Path:
    for stem in ("train_1", "train_10", "train_2"):
        write(tmp_path / "CRAG" / "train", stem, label_image())
    write(tmp_path / "CRAG" / "valid", "test_1", label_image())
    return tmp_path / "CRAG"


def test_both_parts(folder):
    entries = crag(folder)
    assert [entry.name for entry in entries] == ["train_1", "train_10", "train_2", "valid-test_1"]
    assert [path.parent.name for path in entries[3].files] == ["Images", "Annotation"]
    sample = entries[0].load()
    assert (sample.source, sample.patient, sample.mpp, sample.name) == (
        "crag",
        "crag-train_1",
        0.5,
        "train_1",
    )
    assert np.array_equal(sample.objects["gland"].ids, label_image())
    assert sample.objects["gland"].classes == {1: "gland", 2: "gland", 7: "gland"}
    assert sample.image[0, 0].tolist() == [180, 0, 0]
    validate(sample)


def test_one_part_and_the_folder_above(folder):
    assert len(crag(folder / "train")) == 3
    assert [entry.name for entry in crag(folder.parent)] == [entry.name for entry in crag(folder)]


def test_the_second_edition_has_other_names(tmp_path):
    write(tmp_path / "train", "train_1", label_image(), "Annotations")
    write(tmp_path / "test", "test_1", label_image(), "Annotations")
    assert [entry.name for entry in crag(tmp_path)] == ["test_1", "train_1"]


def test_folders_that_are_not_complete(folder, tmp_path):
    with pytest.raises(DataError, match=r"expected CRAG's folders train and valid, found neither"):
        crag(tmp_path / "nowhere")
    (folder / "train" / "Annotation" / "train_2.png").unlink()
    with pytest.raises(DataError, match=r"train_2\.png: expected its labels"):
        crag(folder)
    (folder / "train" / "Images" / "train_2.png").unlink()
    (folder / "valid" / "Images" / "test_1.png").unlink()
    with pytest.raises(DataError, match=r"test_1\.png: expected its image"):
        crag(folder)
    (folder / "valid").rename(folder / "later")
    with pytest.raises(DataError, match=r"CRAG: .*found \['train'\]"):
        crag(folder)


def test_files_that_are_wrong(folder):
    label = folder / "train" / "Annotation" / "train_1.png"
    cv2.imwrite(str(label), label_image()[:, :-1])
    with pytest.raises(DataError, match=r"train_1\.png: expected \(24, 30\) pixels"):
        crag(folder)[0].load()
    cv2.imwrite(str(label), np.zeros((24, 30, 3), np.uint8))
    with pytest.raises(DataError, match=r"train_1\.png: expected H x W object ids"):
        crag(folder)[0].load()
    label.write_bytes(label.read_bytes()[:20])
    with pytest.raises(DataError, match=r"Annotation/train_1\.png: .*cannot be decoded"):
        crag(folder)[0].load()
