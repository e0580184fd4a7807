from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from histocerb.core.errors import DataError
from histocerb.data.sources.conic import DATA_SET, conic
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.lizard import lizard_patient
from histocerb.data.validate import validate

SIDE = 24
HEADING = "neutrophil,epithelial,lymphocyte,plasma,eosinophil,connective"
NAMES = ["dpath_7-0001", "consep_1-0000", "dpath_7-0000"]


def _labels() -> np.ndarray:
    """Patch 0 has a plasma cell 1 and an eosinophil 5; patch 1 six classes, patch 2 nothing."""
    labels = np.zeros((3, SIDE, SIDE, 2), np.uint16)
    labels[0, 1:4, 1:9] = 1, 4
    labels[0, 9:14, 1:9] = 5, 5
    for k in range(1, 7):
        labels[1, 3 * k : 3 * k + 2, 4:9] = k, k
    return labels


def _make(folder: Path, labels: np.ndarray | None = None, names: list[str] | None = NAMES) -> Path:
    folder.mkdir(exist_ok=True)
    images = np.zeros((3, SIDE, SIDE, 3), np.uint8)
    images[..., 0] = 10 * np.arange(3)[:, None, None]
    images[:, 0, :, 2] = 200
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", _labels() if labels is None else labels)
    (folder / "counts.csv").write_text("\r\n".join([HEADING, *["0,0,0,1,1,0"] * 3, ""]), encoding="utf-8-sig")
    if names is not None:
        (folder / "patch_info.csv").write_text("\n".join(["patch_info", *names, ""]))
    return folder


def test_as_published(tmp_path: Path) -> None:
    entries = conic(_make(tmp_path), ReadOptions())
    assert [e.name for e in entries] == sorted(NAMES)
    with ThreadPoolExecutor(3) as pool:
        found = dict(zip(sorted(NAMES), pool.map(lambda e: e.load(), entries), strict=True))
    one = found["dpath_7-0001"]  # row 0
    assert (one.source, one.name, one.mpp, one.centre) == ("conic", "dpath_7-0001", 0.5, "dpath")
    assert one.image[0, 0].tolist() == [0, 0, 200]
    assert found["dpath_7-0000"].image[5, 5].tolist() == [20, 0, 0]
    assert one.objects["nuclei"].classes == {1: "plasma", 5: "eosinophil"}
    assert np.array_equal(one.objects["nuclei"].ids, _labels()[0, ..., 0])
    assert list(found["consep_1-0000"].objects["nuclei"].classes.values()) == [
        "neutrophil",
        "epithelial",
        "lymphocyte",
        "plasma",
        "eosinophil",
        "connective",
    ]
    assert found["dpath_7-0000"].objects["nuclei"].classes == {}
    assert DATA_SET.read is conic
    for sample in found.values():
        assert type(sample.image) is type(sample.objects["nuclei"].ids) is np.ndarray
        validate(sample)


def test_patients_are_those_of_lizard(tmp_path: Path) -> None:
    samples = [e.load() for e in conic(_make(tmp_path), ReadOptions())]
    assert [s.patient for s in samples] == ["lizard-consep_1", "lizard-dpath_7", "lizard-dpath_7"]
    assert samples[0].patient == lizard_patient("consep_1")


def test_without_names_all_are_of_one_patient(tmp_path: Path) -> None:
    samples = [e.load() for e in conic(_make(tmp_path, names=None), ReadOptions())]
    assert [s.name for s in samples] == ["patch-0000", "patch-0001", "patch-0002"]
    assert {s.patient for s in samples} == {"conic-unknown"}
    assert {s.centre for s in samples} == {""}


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "counts.csv"])
def test_half_downloads(tmp_path: Path, name: str) -> None:
    path = _make(tmp_path) / name
    path.unlink()
    with pytest.raises(DataError, match=f"found no {path.stem}"):
        conic(tmp_path, ReadOptions())


def test_arrays_that_are_cut_short_or_differ(tmp_path: Path) -> None:
    path = _make(tmp_path) / "labels.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"labels\.npy: expected an array"):
        conic(tmp_path, ReadOptions())
    for labels in (_labels()[:2], _labels()[:, 1:], _labels()[..., 0], np.zeros((3, SIDE, SIDE, 6))):
        np.save(path, labels)
        with pytest.raises(DataError, match=r"labels\.npy: expected N x H x W x 2"):
            conic(tmp_path, ReadOptions())


def test_tables_that_do_not_fit(tmp_path: Path) -> None:
    _make(tmp_path, names=NAMES[:2])
    with pytest.raises(DataError, match=r"patch_info\.csv: expected 3 rows, one per patch, found 2"):
        conic(tmp_path, ReadOptions())
    for names in ([*NAMES[:2], NAMES[0]], [*NAMES[:2], "consep"]):
        _make(tmp_path, names=names)
        with pytest.raises(DataError, match=r"patch_info\.csv: expected names"):
            conic(tmp_path, ReadOptions())
    (_make(tmp_path) / "counts.csv").write_text(f"{HEADING}\n0,0,0,0,0,0\n")
    with pytest.raises(DataError, match=r"counts\.csv: expected 3 rows, one per patch, found 1"):
        conic(tmp_path, ReadOptions())


@pytest.mark.parametrize("at, pair", [((2, 2), (1, 2)), ((2, 2), (1, 0)), ((20, 20), (0, 3))])
def test_ids_and_classes_that_contradict(tmp_path: Path, at: tuple[int, int], pair: tuple[int, int]) -> None:
    labels = _labels()
    labels[(0, *at)] = pair
    entries = conic(_make(tmp_path, labels), ReadOptions())
    with pytest.raises(DataError, match=r"labels\.npy: expected one class per nucleus.*patch 0"):
        entries[2].load()


def test_unknown_classes(tmp_path: Path) -> None:
    labels = _labels()
    labels[0, 1:4, 1:9, 1] = 7
    folder = _make(tmp_path, labels.astype(np.float64))
    with pytest.raises(DataError, match=r"labels\.npy: expected classes .* found 7"):
        conic(folder, ReadOptions())[2].load()
    nuclei = conic(folder, ReadOptions(drop_unmapped=True))[2].load().objects["nuclei"]
    assert nuclei.classes == {5: "eosinophil"}
    assert 1 in nuclei.ids
