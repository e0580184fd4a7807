from pathlib import Path

import numpy as np
import pytest

from histocerb.core.errors import DataError
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.pannuke import DATA_SET, pannuke
from histocerb.data.validate import validate

SIDE = 20
ORGANS = ("Breast", "Colon", "Bile-duct", "Colon")


def _masks() -> np.ndarray:
    """Patch 1: id 3 in two channels, 70,000 dead, 5 in the last; patch 3: overlap, and one covered wholly."""
    masks = np.zeros((4, SIDE, SIDE, 6))
    masks[1, 1:4, 1:9, 0] = 3
    masks[1, 6:9, 1:9, 1] = 3
    masks[1, 6:9, 11:15, 1] = 9
    masks[1, 11:14, 1:9, 3] = 70_000
    masks[1, 16:19, 1:9, 4] = 5
    masks[3, 2:8, 2:8, 1] = 4
    masks[3, 5:10, 2:8, 2] = 4
    masks[3, 3:5, 3:5, 4] = 8
    masks[..., 5] = ~masks[..., :5].any(-1)
    return masks


def _make(folder: Path, fold: int = 1, masks: np.ndarray | None = None, *, flat: bool = False) -> Path:
    images = folder / (f"fold{fold}" if flat else f"Fold {fold}/images/fold{fold}")
    labels = images if flat else folder / f"Fold {fold}/masks/fold{fold}"
    for path in (images, labels):
        path.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((4, SIDE, SIDE, 3))
    pixels[..., 0] = 50 * np.arange(4)[:, None, None]
    pixels[:, 0, :, 2] = 255
    np.save(images / "images.npy", pixels)
    np.save(images / "types.npy", np.array(ORGANS))
    np.save(labels / "masks.npy", _masks() if masks is None else masks)
    return folder


@pytest.mark.parametrize("flat", [True, False])
def test_as_published(tmp_path: Path, flat: bool) -> None:
    _make(_make(tmp_path, 3, flat=flat), 1, flat=flat)
    (tmp_path / "README.npy.txt").touch()
    entries = pannuke(tmp_path, ReadOptions())
    assert [e.name for e in entries] == ["fold1-0001", "fold1-0003", "fold3-0001", "fold3-0003"]
    found = entries[0].load()
    assert (found.source, found.name, found.mpp) == ("pannuke", "fold1-0001", 0.25)
    assert found.patient == "pannuke-fold1-0001"
    assert found.image.dtype == np.uint8
    assert found.image[0, 0].tolist() == [50, 0, 255]
    assert found.image[-1, 0].tolist() == [50, 0, 0]
    assert DATA_SET.read is pannuke
    for entry in entries:
        validate(entry.load())


def test_ids_of_channels_are_told_apart(tmp_path: Path) -> None:
    nuclei = pannuke(_make(tmp_path), ReadOptions())[0].load().objects["nuclei"]
    middle = {name: int(nuclei.ids[at]) for name, at in {"a": (2, 2), "b": (7, 2), "c": (7, 12)}.items()}
    dead, epithelial = int(nuclei.ids[12, 2]), int(nuclei.ids[17, 2])
    assert sorted([*middle.values(), dead, epithelial]) == [1, 2, 3, 4, 5]
    assert nuclei.classes == {
        middle["a"]: "epithelial",
        middle["b"]: "inflammatory",
        middle["c"]: "inflammatory",
        epithelial: "epithelial",
    }
    assert np.array_equal(nuclei.ids > 0, _masks()[1, ..., 5] == 0)


def test_overlapping_pixels_are_of_the_first_channel(tmp_path: Path) -> None:
    nuclei = pannuke(_make(tmp_path), ReadOptions())[1].load().objects["nuclei"]
    first, second = int(nuclei.ids[3, 3]), int(nuclei.ids[9, 3])
    assert nuclei.classes == {first: "inflammatory", second: "connective"}
    assert int((nuclei.ids == first).sum()) == 36
    assert int((nuclei.ids == second).sum()) == 12


def test_half_downloads(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="PanNuke's folds"):
        pannuke(tmp_path, ReadOptions())
    _make(_make(tmp_path, 1), 2)
    for path in sorted((tmp_path / "Fold 2").rglob("*.npy")):
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(DataError, match=rf"of fold2, found no {path.stem}"):
            pannuke(tmp_path, ReadOptions())
        path.write_bytes(data[:-200])
        with pytest.raises(DataError, match=rf"{path.name}: expected an array of numbers"):
            pannuke(tmp_path, ReadOptions())
        path.write_bytes(data)
    _make(tmp_path / "copy", 1)
    with pytest.raises(DataError, match="expected one file of images for fold1"):
        pannuke(tmp_path, ReadOptions())


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    for masks in (_masks()[:3], _masks()[..., :5], _masks()[:, 1:]):
        with pytest.raises(DataError, match=r"masks\.npy: expected N x H x W x 6"):
            pannuke(_make(tmp_path, masks=masks), ReadOptions())
    _make(tmp_path)
    types = tmp_path / "Fold 1/images/fold1/types.npy"
    for wrong in (np.array(ORGANS[:3]), np.arange(4)):
        np.save(types, wrong)
        with pytest.raises(DataError, match=r"types\.npy: expected 4 names of organs"):
            pannuke(tmp_path, ReadOptions())
    np.save(types, np.array(["Liver"] * 4))
    with pytest.raises(DataError, match="patches of the colon"):
        pannuke(tmp_path, ReadOptions())


def test_numbers_that_are_no_ids_or_colours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"masks\.npy: .*fractions"):
        pannuke(_make(tmp_path, masks=_masks() / 2), ReadOptions())[0].load()
    images = _make(tmp_path) / "Fold 1/images/fold1/images.npy"
    for wrong in (256.0, 0.5, -1.0, np.nan):
        np.save(images, np.full((4, SIDE, SIDE, 3), wrong))
        with pytest.raises(DataError, match=r"images\.npy: expected colours"):
            pannuke(tmp_path, ReadOptions())[0].load()
