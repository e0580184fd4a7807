from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from histocerb.core.errors import DataError, UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import convert, validate
from histocerb.data.sources import SOURCES, keep_heads
from histocerb.data.sources.consep import consep
from histocerb.data.sources.glas import glas
from histocerb.data.sources.synth import synth, synth_tissue

GRADES = (
    "name,patient ID, grade (GlaS), grade (x)\ntrain_1,2, malignant, poor\ntrain_2, 7 , benign, healthy\n"
)


def _glas(folder: Path, label: np.ndarray, ending: str = ".bmp") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Grade.csv").write_text(GRADES)
    for name in ("train_1", "train_2"):
        image = np.zeros((*label.shape, 3), np.uint8)
        image[..., 0] = 200  # blue, first in a file
        assert cv2.imwrite(str(folder / f"{name}{ending}"), image)
        assert cv2.imwrite(str(folder / f"{name}_anno{ending}"), label)
    return folder


def _label() -> np.ndarray:
    label = np.zeros((20, 30), np.uint8)
    label[2:8, 2:8], label[8:12, 8:12], label[2:8, 20:28] = 3, 3, 9
    return label


@pytest.mark.parametrize("ending", [".bmp", ".png", ".PNG"])
def test_glas_keeps_ids(tmp_path: Path, ending: str) -> None:
    found = list(glas(_glas(tmp_path / "set", _label(), ending)))
    assert [(s.name, s.patient, s.source, s.mpp) for s in found] == [
        ("train_1", "glas-2", "glas", 0.62),
        ("train_2", "glas-7", "glas", 0.62),
    ]
    labels = found[0].objects["gland"]
    assert np.array_equal(labels.ids, _label())
    assert labels.classes == {3: "gland", 9: "gland"}
    assert found[0].image[0, 0].tolist() == [0, 0, 200]
    validate(found[0])


def test_glas_masks_get_an_id_per_component(tmp_path: Path) -> None:
    mask = (_label() > 0).astype(np.uint8) * 255
    labels = next(glas(_glas(tmp_path / "set", mask))).objects["gland"]
    assert sorted(labels.classes) == [1, 2]
    assert len({int(labels.ids[3, 3]), int(labels.ids[10, 10])}) == 1


def test_glas_that_is_not_complete(tmp_path: Path) -> None:
    folder = _glas(tmp_path / "set", _label())
    (folder / "train_2_anno.bmp").unlink()
    with pytest.raises(DataError, match="train_2_anno"):
        list(glas(folder))
    (folder / "Grade.csv").write_text(GRADES.replace("train_1", "train_9"))
    with pytest.raises(DataError, match="row for train_1"):
        list(glas(folder))
    (folder / "Grade.csv").unlink()
    with pytest.raises(DataError, match="patients"):
        list(glas(folder))
    with pytest.raises(DataError, match="found none"):
        list(glas(tmp_path / "nowhere"))
    _glas(folder, _label())
    cv2.imwrite(str(folder / "train_1_anno.bmp"), _label()[:-3])
    with pytest.raises(DataError, match="pixels as in the image"):
        list(glas(folder))
    (folder / "train_1.bmp").write_bytes(b"BM")
    with pytest.raises(DataError, match="decoded"):
        list(glas(folder))


def _consep(folder: Path, types: list[int], name: str = "train_1") -> Path:
    for part in ("Images", "Labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    ids = np.zeros((24, 24), np.float64)
    for k in range(len(types)):
        ids[4 * k : 4 * k + 3, 3:9] = (2, 3, 5, 8, 9)[k]
    content = {
        "inst_map": ids,
        "inst_type": np.array(types, float).reshape(-1, 1),
        "type_map": ids,
        "inst_centroid": np.zeros((len(types), 2)),
    }
    scipy.io.savemat(folder / "Labels" / f"{name}.mat", content)
    cv2.imwrite(str(folder / "Images" / f"{name}.png"), np.full((24, 24, 4), 90, np.uint8))
    return folder


def test_consep_with_merged_types(tmp_path: Path) -> None:
    (found,) = consep(_consep(tmp_path, [1, 2, 3, 4]))
    assert found.image.shape == (24, 24, 3)
    assert (found.mpp, found.patient, found.name) == (0.25, "consep-train_1", "train_1")
    labels = found.objects["nuclei"]
    assert sorted(np.unique(labels.ids)) == [0, 2, 3, 5, 8]
    assert labels.classes == {3: "inflammatory", 5: "epithelial", 8: "connective"}
    validate(found)


def test_consep_with_original_types_in_train_and_test(tmp_path: Path) -> None:
    _consep(tmp_path / "Train", [4, 3, 1])
    _consep(tmp_path / "Test", [5, 6, 7], "test_1")
    test, train = consep(tmp_path)
    assert (test.name, train.name) == ("test_1", "train_1")
    assert train.objects["nuclei"].classes == {2: "epithelial", 3: "epithelial"}
    assert set(test.objects["nuclei"].classes.values()) == {"connective"}


def test_consep_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labels"):
        list(consep(tmp_path))
    with pytest.raises(DataError, match=r"\[9\]"):
        list(consep(_consep(tmp_path / "a", [2, 9])))
    folder = _consep(tmp_path / "b", [2, 3])
    (folder / "Images" / "train_1.png").unlink()
    with pytest.raises(DataError, match=r"train_1\.png"):
        list(consep(folder))
    (folder / "Labels" / "train_1.mat").write_bytes(b"not MATLAB at all")
    with pytest.raises(DataError, match="MATLAB arrays inst_type"):
        list(consep(folder))


def test_keep_heads(sample) -> None:
    whole = sample("w", tasks=("nuclei", "gland", "lumen"), patch_class="muscle")

    def kept(*heads: str):
        return next(keep_heads([whole], heads))

    glands = kept("gland.instance")
    assert set(glands.objects) == {"gland"}
    assert glands.objects["gland"].classes == {}
    assert glands.patch_class is None
    both = kept("nuclei.instance", "nuclei.type", "tissue.patch")
    assert set(both.objects) == {"nuclei"}
    assert both.objects["nuclei"].classes == whole.objects["nuclei"].classes
    assert both.patch_class == "muscle"
    assert kept(*(head.name for head in CERBERUS.heads)).objects.keys() == whole.objects.keys()


def test_synth_has_every_head_and_is_reproducible() -> None:
    one, two = synth(2, side_px=300, seed=4)
    assert set(one.objects) == {"nuclei", "gland", "lumen"}
    assert one.image.shape == (300, 300, 3)
    assert one.patient != two.patient
    for found in (one, two):
        validate(found)
        for labels in found.objects.values():
            present = [int(k) for k in np.unique(labels.ids) if k]
            assert present == list(range(1, len(present) + 1))
        nuclei = found.objects["nuclei"]
        assert sorted(nuclei.classes) == [int(k) for k in np.unique(nuclei.ids) if k]
    (again,) = synth(1, side_px=300, seed=5)
    assert np.array_equal(again.image, two.image)
    assert again.objects["nuclei"].classes == two.objects["nuclei"].classes
    with pytest.raises(UsageError):
        next(synth(0))


def test_synth_tissue_has_every_class(tmp_path: Path) -> None:
    cells = list(synth_tissue(1, seed=3))
    counts = Counter(cell.patch_class for cell in cells)
    assert counts == dict.fromkeys(CERBERUS.task("tissue").classes, 1)
    assert {cell.image.shape for cell in cells} == {(144, 144, 3)}
    assert len(convert(cells, tmp_path)) == 9


def test_real_glas(real_data: Path) -> None:
    found = list(SOURCES["glas"](real_data / "glas"))
    assert len(found) == 85
    assert sum(len(s.objects["gland"].classes) for s in found) == 769
    assert len({s.patient for s in found}) == 15


def test_real_consep(real_data: Path) -> None:
    found = list(SOURCES["consep"](real_data / "consep-train"))
    assert len(found) == 27
    count = Counter(name for s in found for name in s.objects["nuclei"].classes.values())
    assert set(count) == {"inflammatory", "epithelial", "connective"}
    assert sum(len(np.unique(s.objects["nuclei"].ids)) - 1 for s in found) == 15_555
