from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from histocerb.core.errors import DataError
from histocerb.data.sources.crchistophenotypes import DATA_SET, crchistophenotypes
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.validate import validate

CENTRES = {
    "epithelial": np.array([[1.0, 1.0], [40.0, 30.0]]),
    "fibroblast": np.zeros((0, 0)),
    "inflammatory": np.array([[7.5, 3.25]]),
    "others": np.array([[12, 20]], np.int32),
}


def _make(folder: Path, name: str = "img1", ending: str = ".bmp", **changes: np.ndarray) -> Path:
    """An image of 30 x 40 pixels in `Classification`; the folder of the image."""
    below = folder / "CRCHistoPhenotypes_2016_04_28" / "Classification" / name
    below.mkdir(parents=True, exist_ok=True)
    image = np.zeros((30, 40, 3), np.uint8)
    image[:10, :, 2] = 200  # red, last in a file
    data = cv2.imencode(".bmp", image)[1]
    (below / f"{name}{ending}").write_bytes(data.tobytes())
    for cls, centres in (CENTRES | changes).items():
        scipy.io.savemat(below / f"{name}_{cls}.mat", {"detection": centres})
    return below


@pytest.mark.parametrize(
    "given", [".", "CRCHistoPhenotypes_2016_04_28", "CRCHistoPhenotypes_2016_04_28/Classification"]
)
def test_as_published(tmp_path: Path, given: str) -> None:
    _make(tmp_path, "img2", ".BMP")
    _make(tmp_path, "img10")
    (tmp_path / "CRCHistoPhenotypes_2016_04_28" / "Detection" / "img1").mkdir(parents=True)
    entries = crchistophenotypes(tmp_path / given, ReadOptions())
    assert [e.name for e in entries] == ["img10", "img2"]
    assert entries[1].files[0].name == "img2.BMP"
    assert len(entries[1].files) == 5
    found = entries[0].load()
    assert (found.source, found.name, found.mpp) == ("crchistophenotypes", "img10", 0.5)
    assert found.patient == "crchistophenotypes-img10"
    assert found.image[0, 0].tolist() == [200, 0, 0]
    assert found.objects == {}
    assert DATA_SET.read is crchistophenotypes
    for entry in entries:
        validate(entry.load())


def test_centres_and_classes(tmp_path: Path) -> None:
    _make(tmp_path)
    marks = crchistophenotypes(tmp_path, ReadOptions())[0].load().marks["nucleus-centre"]
    assert marks.boxes.dtype == np.float32
    assert marks.boxes.tolist() == [
        [0.5, 0.5, 0.5, 0.5],  # the middle of the first pixel
        [39.5, 29.5, 39.5, 29.5],  # and of the last
        [7.0, 2.75, 7.0, 2.75],
        [11.5, 19.5, 11.5, 19.5],
    ]
    assert marks.classes == ("epithelial", "epithelial", "inflammatory", "")


def test_centres_at_the_edge_are_moved_into_the_image(tmp_path: Path) -> None:
    _make(tmp_path, inflammatory=np.array([[41.2, 0.0]]))
    found = crchistophenotypes(tmp_path, ReadOptions())[0].load()
    assert found.marks["nucleus-centre"].boxes[2].tolist() == [40, 0, 40, 0]
    validate(found)


def test_half_downloads(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected Classification/img1/img1\.bmp"):
        crchistophenotypes(tmp_path, ReadOptions())
    below = _make(tmp_path)
    (below / "img1_others.mat").unlink()
    with pytest.raises(DataError, match=r"found no img1_others\.mat"):
        crchistophenotypes(tmp_path, ReadOptions())
    _make(tmp_path)
    (below / "img1.bmp").unlink()
    with pytest.raises(DataError, match=r"expected img1\.bmp"):
        crchistophenotypes(tmp_path, ReadOptions())


def test_unknown_classes(tmp_path: Path) -> None:
    _make(tmp_path, mitosis=np.array([[3, 4]]))
    with pytest.raises(DataError, match=r"img1_mitosis\.mat: expected classes epithelial, .*found 'mitosis'"):
        crchistophenotypes(tmp_path, ReadOptions())[0].load()
    marks = crchistophenotypes(tmp_path, ReadOptions(drop_unmapped=True))[0].load().marks["nucleus-centre"]
    assert marks.classes == ("epithelial", "epithelial", "inflammatory", "", "")


@pytest.mark.parametrize(
    "centres, message",
    [
        (np.array([[30.0, 40.0]]), "centres in the image of 40 x 30"),
        (np.array([[np.nan, 4.0]]), "centres in the image"),
        (np.array([[1.0, 2.0, 3.0]]), "N x 2 centres"),
        (np.array(["text"]), "N x 2 centres"),
    ],
)
def test_centres_that_are_wrong(tmp_path: Path, centres: np.ndarray, message: str) -> None:
    _make(tmp_path, epithelial=centres)
    with pytest.raises(DataError, match=rf"img1_epithelial\.mat: expected {message}"):
        crchistophenotypes(tmp_path, ReadOptions())[0].load()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    below = _make(tmp_path)
    (below / "img1_others.mat").write_bytes(b"no MATLAB")
    with pytest.raises(DataError, match=r"img1_others\.mat: expected MATLAB arrays detection"):
        crchistophenotypes(tmp_path, ReadOptions())[0].load()
    (below / "img1.bmp").write_bytes(b"BM")
    with pytest.raises(DataError, match=r"img1\.bmp.*decoded"):
        crchistophenotypes(tmp_path, ReadOptions())[0].load()
