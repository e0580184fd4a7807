from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from histocerb.core.errors import DataError
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.lizard import DATA_SET, lizard, lizard_patient
from histocerb.data.validate import validate

HEIGHT, WIDTH = 30, 40


@dataclass
class Mini:
    """A Lizard of three images; ids 70,000, 2 and 9 of the first are neutrophil, plasma, connective."""

    folder: Path
    inner: bool = True
    rows: list[str] = field(default_factory=lambda: ["consep_1,consep,1", "crag_2,crag,3", "glas_1,glas,2"])

    def root(self, archive: str) -> Path:
        lower = self.folder / archive.lower()
        path = lower / archive if self.inner else lower
        path.mkdir(parents=True, exist_ok=True)
        return path

    def image(self, archive: str, name: str) -> Path:
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[:10, :, 2] = 200  # red, last in a file; upper part only
        path = self.root(archive) / name
        assert cv2.imwrite(str(path), pixels)
        return path

    def label(self, name: str, **changes: np.ndarray) -> Path:
        ids = np.zeros((HEIGHT, WIDTH), np.int32)
        ids[1:4, 1:9], ids[6:9, 1:9], ids[20:25, 30:38] = 70_000, 2, 9
        content = {
            "inst_map": ids,
            "id": np.array([[9], [44], [70_000], [2]], np.int32),
            "class": np.array([[6], [2], [1], [4]], np.uint8),
            "bbox": np.zeros((4, 4)),
            "centroid": np.zeros((4, 2)),
        }
        path = self.root("Lizard_Labels") / "Labels" / f"{name}.mat"
        path.parent.mkdir(exist_ok=True)
        scipy.io.savemat(path, content | changes)
        return path

    def table(self, lines: list[str] | None = None) -> Path:
        path = self.root("Lizard_Labels") / "info.csv"
        body = "\r\n".join(["Filename,Source,Split", *(self.rows if lines is None else lines), ""])
        path.write_text(body, encoding="utf-8-sig", newline="")
        return path

    def make(self) -> "Mini":
        self.image("Lizard_Images1", "consep_1.png")
        self.image("Lizard_Images1", "crag_2.PNG")
        self.image("Lizard_Images2", "glas_1.png")
        (self.root("Lizard_Images2") / ".DS_Store").touch()
        for name in ("consep_1", "crag_2", "glas_1"):
            self.label(name)
        self.table()
        return self


@pytest.fixture
def mini(tmp_path: Path) -> Mini:
    return Mini(tmp_path / "set").make()


@pytest.mark.parametrize("inner", [True, False])
def test_as_published(tmp_path: Path, inner: bool) -> None:
    made = Mini(tmp_path, inner).make()
    entries = lizard(made.folder, ReadOptions())
    assert [e.name for e in entries] == ["consep_1", "crag_2", "glas_1"]
    assert [e.files[0].name for e in entries] == ["consep_1.png", "crag_2.PNG", "glas_1.png"]
    found = entries[0].load()
    assert (found.source, found.name, found.mpp, found.centre) == ("lizard", "consep_1", 0.5, "consep")
    assert found.patient == "lizard-consep_1"
    assert found.image.shape == (HEIGHT, WIDTH, 3)
    assert found.image[0, 0].tolist() == [200, 0, 0]
    assert found.image[-1, 0].tolist() == [0, 0, 0]
    nuclei = found.objects["nuclei"]
    assert nuclei.classes == {70_000: "neutrophil", 2: "plasma", 9: "connective"}
    assert nuclei.ids.dtype == np.int32
    assert int((nuclei.ids == 70_000).sum()) == 24
    assert DATA_SET.read is lizard
    validate(found)


def test_every_class(mini: Mini) -> None:
    ids = np.zeros((HEIGHT, WIDTH), np.uint16)
    ids[2, :6] = np.arange(1, 7)
    rows = np.arange(1, 7).reshape(-1, 1)
    mini.label("consep_1", inst_map=ids, id=rows, **{"class": rows})
    names = lizard(mini.folder, ReadOptions())[0].load().objects["nuclei"].classes
    assert list(names.values()) == [
        "neutrophil",
        "epithelial",
        "lymphocyte",
        "plasma",
        "eosinophil",
        "connective",
    ]


def test_names_of_windows_in_the_table(mini: Mini) -> None:
    mini.table([r"Images\consep_1.png,consep,1", "crag_2.png,crag,2", '"glas_1",glas,3'])
    assert lizard(mini.folder, ReadOptions())[2].load().centre == "glas"


def test_image_without_nuclei(mini: Mini) -> None:
    nothing = np.zeros((0, 0))
    mini.label("consep_1", inst_map=np.zeros((HEIGHT, WIDTH)), id=nothing, **{"class": nothing})
    found = lizard(mini.folder, ReadOptions())[0].load()
    assert not found.objects["nuclei"].ids.any()
    validate(found)


def test_patients_of_tcga() -> None:
    assert lizard_patient("tcga-a6-2671-01z-00-dx1_3") == "TCGA-A6-2671"
    assert lizard_patient("dpath_12") == "lizard-dpath_12"


def test_half_downloads(mini: Mini, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no lizard_images1"):
        lizard(tmp_path / "nowhere", ReadOptions())
    label = mini.label("dpath_5")
    with pytest.raises(DataError, match=r"dpath_5\.mat: expected its image"):
        lizard(mini.folder, ReadOptions())
    label.unlink()
    image = mini.image("Lizard_Images2", "dpath_5.png")
    with pytest.raises(DataError, match=r"dpath_5\.png: expected its labels"):
        lizard(mini.folder, ReadOptions())
    image.unlink()
    mini.image("Lizard_Images2", "consep_1.png")
    with pytest.raises(DataError, match=r"consep_1\.png: expected images to be in one archive"):
        lizard(mini.folder, ReadOptions())


def test_tables_that_lack_something(mini: Mini) -> None:
    mini.table(mini.rows[:2])
    with pytest.raises(DataError, match=r"info\.csv.*no row for glas_1"):
        lizard(mini.folder, ReadOptions())
    mini.table([*mini.rows, "glas_9,glas,1"])
    with pytest.raises(DataError, match=r"info\.csv.*no image for glas_9"):
        lizard(mini.folder, ReadOptions())
    mini.table(["consep_1"])
    with pytest.raises(DataError, match=r"info\.csv.*cells per row"):
        lizard(mini.folder, ReadOptions())
    mini.table().write_text("Filename;Source;Split\n")
    with pytest.raises(DataError, match=r"info\.csv.*found no Filename, Source"):
        lizard(mini.folder, ReadOptions())
    mini.table().unlink()
    with pytest.raises(DataError, match=r"info\.csv.*No such file"):
        lizard(mini.folder, ReadOptions())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"inst_map": np.ones((HEIGHT, WIDTH - 1))}, "pixels as in the image"),
        ({"inst_map": np.full((HEIGHT, WIDTH), 1.5)}, "fractions"),
        ({"inst_map": np.full((HEIGHT, WIDTH), 3)}, r"none for ids \[3\]"),
        ({"class": np.array([[1], [1], [1]])}, "4 ids and 3 classes"),
        ({"id": np.array([[9], [9], [70_000], [2]])}, "one class for each of 3 ids"),
        ({"class": np.array([[7], [1], [1], [1]])}, "expected classes 1, 2, 3, 4, 5, 6, found 7"),
    ],
)
def test_labels_that_are_wrong(mini: Mini, changes: dict[str, np.ndarray], message: str) -> None:
    mini.label("crag_2", **changes)
    with pytest.raises(DataError, match=rf"crag_2\.mat.*{message}"):
        lizard(mini.folder, ReadOptions())[1].load()


def test_unknown_classes_can_be_dropped(mini: Mini) -> None:
    mini.label("crag_2", **{"class": np.array([[7], [1], [1], [2]])})
    nuclei = lizard(mini.folder, ReadOptions(drop_unmapped=True))[1].load().objects["nuclei"]
    assert nuclei.classes == {70_000: "neutrophil", 2: "epithelial"}
    assert 9 in nuclei.ids


def test_files_that_cannot_be_read(mini: Mini) -> None:
    mini.label("glas_1").write_bytes(b"MATLAB 5.0 MAT-file, but only the beginning")
    (mini.root("Lizard_Images1") / "consep_1.png").write_bytes(b"\x89PNG\r\n")
    entries = lizard(mini.folder, ReadOptions())
    with pytest.raises(DataError, match=r"glas_1\.mat: expected MATLAB arrays"):
        entries[2].load()
    with pytest.raises(DataError, match=r"consep_1\.png.*decoded"):
        entries[0].load()
