import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocerb.core.errors import DataError
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.tissue_folders import DATA_SETS
from histocerb.data.validate import validate

KATHER = {
    "01_TUMOR": "abnormal-epithelium",
    "02_STROMA": "stroma",
    "03_COMPLEX": "stroma",
    "04_LYMPHO": "inflammatory",
    "05_DEBRIS": "debris",
    "06_MUCOSA": "normal-epithelium",
    "07_ADIPOSE": "adipose",
    "08_EMPTY": "background",
}
NCT = {
    "ADI": "adipose",
    "BACK": "background",
    "DEB": "debris",
    "LYM": "inflammatory",
    "MUC": "mucous",
    "MUS": "muscle",
    "NORM": "normal-epithelium",
    "STR": "stroma",
    "TUM": "abnormal-epithelium",
}
CRC_TP = {
    "Benign": "normal-epithelium",
    "Complex Stroma": "stroma",
    "Debris": "debris",
    "Inflammatory": "inflammatory",
    "Muscle": "muscle",
    "Stroma": "stroma",
    "Tumor": "abnormal-epithelium",
}


def read(name: str, folder: Path, options: ReadOptions = ReadOptions()):  # noqa: B008 - frozen
    return DATA_SETS[name].read(folder, options)


def write(path: Path, side: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((side, side, 3), np.uint8)
    image[:, : side // 2, 0] = 200  # blue, first in a file
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def kather(tmp_path) -> Path:
    folder = tmp_path / "Kather_texture_2016_image_tiles_5000"
    for k, name in enumerate(KATHER):
        write(folder / name / f"1000{k}_CRC-Prim-HE-0{k + 1}_009b.tif_Row_301_Col_151.tif", 150)
    write(folder / "01_TUMOR" / "1A_CRC-Prim-HE-10.tif_Row_1_Col_1.tif", 150)
    return folder


def test_kather_2016(kather):
    samples = [entry.load() for entry in read("kather2016", kather)]
    assert {s.name.split("-")[0]: s.patch_class for s in samples} == KATHER
    assert [s.name for s in samples] == sorted(s.name for s in samples)
    first = samples[0]
    assert first.name == "01_TUMOR-10000_CRC-Prim-HE-01_009b.tif_Row_301_Col_151"
    assert (first.source, first.mpp, first.patient) == ("kather2016", 0.495, "kather2016-CRC-Prim-HE-01")
    assert first.image[0, 0].tolist() == [0, 0, 200]
    assert first.image[0, -1].tolist() == [0, 0, 0]
    assert not first.objects
    assert {s.patient[-2:] for s in samples} == {f"0{k}" for k in range(1, 9)} | {"10"}
    validate(first)
    assert len(read("kather2016", kather.parent)) == 9


def test_nct_sets_are_told_apart_by_their_folder(tmp_path):
    for name in NCT:
        write(tmp_path / "NCT-CRC-HE-100K" / name / f"{name}-AAAFLCLY.tif", 224)
        write(tmp_path / "CRC-VAL-HE-7K" / name / f"{name}-TCGA-AAICEQFN.TIF", 224)
    for name, ending in (("nct-crc-he-100k", "-AAAFLCLY"), ("crc-val-he-7k", "-TCGA-AAICEQFN")):
        samples = [entry.load() for entry in read(name, tmp_path)]
        assert {s.name: s.patch_class for s in samples} == {k + ending: v for k, v in NCT.items()}
        assert len({s.patient for s in samples}) == 9
        assert {s.patient for s in samples} == {f"{name}-{s.name}" for s in samples}
        assert {(s.source, s.mpp) for s in samples} == {(name, 0.5)}
        validate(samples[0])


@pytest.mark.parametrize("complex_stroma", ["Complex Stroma", "Complex", "Complex_Stroma"])
def test_crc_tp(tmp_path, complex_stroma):
    for part in ("Training", "Testing"):
        for name in CRC_TP:
            folder = complex_stroma if name == "Complex Stroma" else name
            write(tmp_path / "Fold2" / part / folder / "1.png", 150)
    samples = [entry.load() for entry in read("crc-tp", tmp_path)]
    assert len({s.patient for s in samples}) == len({s.name for s in samples}) == 14
    assert samples[0].name == "testing-Benign-1"
    assert sorted(s.patch_class for s in samples) == sorted([*CRC_TP.values()] * 2)
    validate(samples[0])
    assert len(read("crc-tp", tmp_path / "Fold2" / "Testing")) == 7
    write(tmp_path / "Fold1" / "Training" / "Tumor" / "1.png", 150)
    with pytest.raises(DataError, match=r"one fold of crc-tp, found Fold1 and Fold2"):
        read("crc-tp", tmp_path)


def test_a_set_that_is_not_whole_is_told(kather, caplog):
    for path in (kather / "08_EMPTY").iterdir():
        path.unlink()
    with caplog.at_level(logging.WARNING):
        assert len(read("kather2016", kather)) == 8
    assert "expected 5000 patches, found 8 (without any: 08_EMPTY)" in caplog.text


def test_other_classes_are_refused_dropped_or_mapped(kather):
    write(kather / "09_NERVE" / "a.tif", 150)
    (kather / "notes").mkdir()
    with pytest.raises(DataError, match=r"09_NERVE: expected classes 01_TUMOR.*'09_NERVE'"):
        read("kather2016", kather)
    assert len(read("kather2016", kather, ReadOptions(drop_unmapped=True))) == 9
    entries = read("kather2016", kather, ReadOptions(classes={"09_NERVE": "stroma"}))
    assert entries[-1].load().patch_class == "stroma"


def test_folders_and_files_that_are_wrong(kather, tmp_path):
    for folder in (tmp_path / "nowhere", kather / "01_TUMOR"):
        with pytest.raises(DataError, match=r"expected folders 01_TUMOR.*found none"):
            read("kather2016", folder)
    write(kather / "01_TUMOR" / "0.tif", 224)
    with pytest.raises(DataError, match=r"0\.tif: expected 150 x 150 pixels as published, found 224 x 224"):
        read("kather2016", kather)[0].load()
    (kather / "01_TUMOR" / "0.tif").write_bytes(b"II*")
    with pytest.raises(DataError, match=r"0\.tif: expected an image"):
        read("kather2016", kather)[0].load()


def test_real_tiles(real_data):
    folder = real_data / "tissue-tiles"
    samples = [entry.load() for entry in read("crc-val-he-7k", folder)]
    assert len(samples) == len(list(folder.glob("*/*.png")))
    assert {s.name.split("-")[0] for s in samples} == {p.name for p in folder.iterdir() if p.is_dir()}
    assert all(s.patch_class == NCT[s.name.split("-")[0]] for s in samples)
