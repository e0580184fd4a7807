from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from histocerb.core.errors import DataError
from histocerb.data.sources.consep import DATA_SET, consep
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.validate import validate

IDS = (2, 3, 70_000, 8, 9)


def _content(types: list[int]) -> dict[str, np.ndarray]:
    ids = np.zeros((24, 30), np.float64)
    for k, number in enumerate(sorted(IDS[: len(types)])):
        ids[4 * k : 4 * k + 3, 3:9] = number
    return {
        "inst_map": ids,
        "inst_type": np.array(types, float).reshape(-1, 1),
        "type_map": ids,
        "inst_centroid": np.zeros((len(types), 2)),
    }


def _make(
    folder: Path, types: list[int], name: str = "train_1", ending: str = ".png", **changes: np.ndarray
) -> Path:
    """One image with one nucleus per type, in order of ids."""
    for part in ("Images", "Labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / "Labels" / f"{name}.mat", _content(types) | changes)
    image = np.full((24, 30, 4), 255, np.uint8)
    image[0, :, :3] = 0, 90, 200  # blue, green, red in a file
    assert cv2.imwrite(str(folder / "Images" / f"{name}{ending}"), image)
    return folder


def test_merged_types(tmp_path: Path) -> None:
    (entry,) = consep(_make(tmp_path, [1, 2, 3, 4], ending=".PNG"), ReadOptions())
    assert [f.name for f in entry.files] == ["train_1.PNG", "train_1.mat"]
    found = entry.load()
    assert found.image.shape == (24, 30, 3)
    assert found.image[0, 0].tolist() == [200, 90, 0]
    assert (found.source, found.mpp, found.patient, found.name) == (
        "consep",
        0.25,
        "consep-train_1",
        "train_1",
    )
    labels = found.objects["nuclei"]
    assert sorted(np.unique(labels.ids)) == [0, 2, 3, 8, 70_000]
    assert labels.classes == {3: "inflammatory", 8: "epithelial", 70_000: "connective"}
    assert DATA_SET.read is consep
    validate(found)


@pytest.mark.parametrize("inner", [".", "CoNSeP"])
def test_original_types_in_train_and_test(tmp_path: Path, inner: str) -> None:
    _make(tmp_path / inner / "Train", [4, 3, 1])
    _make(tmp_path / inner / "Test", [5, 6, 7], "test_1")
    test, train = (entry.load() for entry in consep(tmp_path, ReadOptions()))
    assert (test.name, train.name) == ("test_1", "train_1")
    assert train.objects["nuclei"].classes == {2: "epithelial", 3: "epithelial"}
    assert set(test.objects["nuclei"].classes.values()) == {"connective"}


def test_types_of_numbers_without_pixels(tmp_path: Path) -> None:
    ids = np.zeros((24, 30))
    ids[2:4, 2:4], ids[8, 8] = 2, 4
    _make(tmp_path, [], inst_map=ids, inst_type=np.array([[1], [2], [1], [3]]))
    labels = consep(tmp_path, ReadOptions())[0].load().objects["nuclei"]
    assert labels.classes == {2: "inflammatory", 4: "epithelial"}


def test_unknown_types(tmp_path: Path) -> None:
    _make(tmp_path, [2, 4, 9])
    with pytest.raises(DataError, match=r"train_1\.mat: expected classes 1, 2, 3, 4, found 9"):
        consep(tmp_path, ReadOptions())[0].load()
    labels = consep(tmp_path, ReadOptions(drop_unmapped=True))[0].load().objects["nuclei"]
    assert labels.classes == {2: "inflammatory", 3: "connective"}
    assert 70_000 in labels.ids


def test_half_downloads(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folders"):
        consep(tmp_path, ReadOptions())
    folder = _make(tmp_path / "Train", [2, 3])
    label = folder / "Labels" / "train_1.mat"
    label.rename(folder / "Labels" / "train_2.mat")
    with pytest.raises(DataError, match=r"train_1\.png: expected its labels"):
        consep(tmp_path, ReadOptions())
    (folder / "Images" / "train_1.png").unlink()
    with pytest.raises(DataError, match=r"train_2\.mat: expected its image"):
        consep(tmp_path, ReadOptions())
    (folder / "Labels" / "train_2.mat").unlink()
    with pytest.raises(DataError, match="Train: expected images and their labels"):
        consep(tmp_path, ReadOptions())
    _make(tmp_path / "Train", [2])
    _make(tmp_path / "Test", [2])
    with pytest.raises(DataError, match=r"train_1\.png: expected other names"):
        consep(tmp_path, ReadOptions())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"inst_map": np.zeros((24, 29))}, "pixels as in the image"),
        ({"inst_map": np.full((24, 30), -1)}, "ids from 0"),
        ({"inst_type": np.array([[2]])}, "one type for each of 2 nuclei, found 1"),
        ({"inst_type": np.array([[2.5], [1]])}, "fractions"),
    ],
)
def test_labels_that_are_wrong(tmp_path: Path, changes: dict[str, np.ndarray], message: str) -> None:
    _make(tmp_path, [2, 3], **changes)
    with pytest.raises(DataError, match=rf"train_1\.mat.*{message}"):
        consep(tmp_path, ReadOptions())[0].load()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    _make(tmp_path, [2, 3])
    (tmp_path / "Images" / "train_1.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"train_1\.png.*decoded"):
        consep(tmp_path, ReadOptions())[0].load()
    (tmp_path / "Labels" / "train_1.mat").write_bytes(b"not MATLAB at all")
    with pytest.raises(DataError, match=r"train_1\.mat: expected MATLAB arrays inst_type"):
        consep(tmp_path, ReadOptions())


def test_the_published_training_images(real_data: Path) -> None:
    entries = consep(real_data / "consep-train", ReadOptions())
    assert [e.name for e in entries] == sorted(f"train_{k}" for k in range(1, 28))
    count: Counter[str] = Counter()
    objects = 0
    for entry in entries:
        found = entry.load()
        validate(found)
        assert found.image.shape == (1000, 1000, 3)
        count.update(found.objects["nuclei"].classes.values())
        objects += len(np.unique(found.objects["nuclei"].ids)) - 1
    assert objects == 15_555
    assert set(count) == {"inflammatory", "epithelial", "connective"}
