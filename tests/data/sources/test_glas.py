from pathlib import Path

import cv2
import numpy as np
import pytest

from histocerb.core.errors import DataError
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.glas import DATA_SET
from histocerb.data.validate import validate

GRADES = (
    "\ufeffname,patient ID, grade (GlaS), grade (x)\n"
    "train_1,2, malignant, poor\n"
    "Warwick_QU\\train_2.bmp, 7 , benign, healthy\n"
    "testA_1,2, benign, healthy\n"
)


def glas(folder: Path):
    return DATA_SET.read(folder, ReadOptions())


def make(folder: Path, label: np.ndarray, ending: str = ".bmp") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Grade.csv").write_text(GRADES, encoding="utf-8")
    for name in ("train_2", "train_1"):
        image = np.zeros((*label.shape, 3), np.uint8)
        image[..., 0] = 200  # blue, first in a file
        assert cv2.imwrite(str(folder / f"{name}{ending}"), image)
        assert cv2.imwrite(str(folder / f"{name}_anno{ending}"), label)
    (folder / "._train_1.bmp").write_bytes(b"left by a Mac")
    return folder


def label_image() -> np.ndarray:
    label = np.zeros((20, 30), np.uint8)
    label[2:8, 2:8], label[8:12, 8:12], label[2:8, 20:28] = 3, 3, 9
    return label


@pytest.mark.parametrize("ending", [".bmp", ".png", ".PNG"])
def test_ids_are_kept(tmp_path, ending):
    entries = glas(make(tmp_path / "set", label_image(), ending))
    assert [entry.name for entry in entries] == ["train_1", "train_2"]
    assert [path.name for path in entries[0].files] == [
        f"train_1{ending}",
        f"train_1_anno{ending}",
        "Grade.csv",
    ]
    found = [entry.load() for entry in entries]
    assert [(s.name, s.patient, s.source, s.mpp, s.centre) for s in found] == [
        ("train_1", "glas-2", "glas", 0.62, "UHCW"),
        ("train_2", "glas-7", "glas", 0.62, "UHCW"),
    ]
    labels = found[0].objects["gland"]
    assert np.array_equal(labels.ids, label_image())
    assert labels.classes == {3: "gland", 9: "gland"}
    assert found[0].image[0, 0].tolist() == [0, 0, 200]
    validate(found[0])


def test_masks_get_an_id_per_component(tmp_path):
    mask = (label_image() > 0).astype(np.uint8) * 255
    labels = glas(make(tmp_path / "set", mask))[0].load().objects["gland"]
    assert sorted(labels.classes) == [1, 2]
    assert len({int(labels.ids[3, 3]), int(labels.ids[10, 10])}) == 1


def test_ids_beyond_eight_bits(tmp_path):
    folder = make(tmp_path / "set", label_image(), ".png")
    cv2.imwrite(str(folder / "train_1_anno.png"), label_image().astype(np.uint16) * 7000)
    sample = glas(folder)[0].load()
    assert sorted(sample.objects["gland"].classes) == [21000, 63000]
    validate(sample)


def test_folders_that_are_not_complete(tmp_path):
    folder = make(tmp_path / "set", label_image())
    (folder / "train_2_anno.bmp").unlink()
    with pytest.raises(DataError, match=r"train_2\.bmp: expected its labels"):
        glas(folder)
    make(folder, label_image())
    (folder / "train_1.bmp").unlink()
    with pytest.raises(DataError, match=r"train_1_anno\.bmp: expected its image"):
        glas(folder)
    make(folder, label_image())
    (folder / "Grade.csv").write_text(GRADES.replace("train_1,", "train_9,"), encoding="utf-8")
    with pytest.raises(DataError, match=r"row with the patient of train_1"):
        glas(folder)
    (folder / "Grade.csv").write_text("name,grade\ntrain_1,benign\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no patient ID"):
        glas(folder)
    (folder / "Grade.csv").unlink()
    with pytest.raises(DataError, match=r"Grade\.csv: expected a table"):
        glas(folder)
    with pytest.raises(DataError, match=r"nowhere: expected GlaS images"):
        glas(tmp_path / "nowhere")


def test_files_that_are_wrong(tmp_path):
    folder = make(tmp_path / "set", label_image())
    cv2.imwrite(str(folder / "train_1_anno.bmp"), label_image()[:-3])
    with pytest.raises(DataError, match=r"train_1_anno\.bmp: expected \(20, 30\) pixels as in the image"):
        glas(folder)[0].load()
    (folder / "train_1.bmp").write_bytes(b"BM")
    with pytest.raises(DataError, match=r"train_1\.bmp: .*cannot be decoded"):
        glas(folder)[0].load()
    (folder / "train_1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"one file named train_1"):
        glas(folder)


def test_real_images(real_data):
    entries = glas(real_data / "glas")
    assert len(entries) == 85
    assert sum(len(entry.load().objects["gland"].classes) for entry in entries) == 769
