from pathlib import Path

import cv2
import numpy as np
import pytest

from histocerb.core.errors import DataError
from histocerb.data.sources.digestpath import DATA_SET, _patient
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.validate import validate

CELL = "2018_64982_1-3_2019-02-25 21_57_36-lv0-33516-59515-2003-2010"
BENIGN = "D20190481111_2019-06-10 09_22_49-lv0-61840-23896-2000-2000"
LESION = "D201800610_2019-05-21 15_11_34-lv1-8018-19021-5014-5003"
NO_SQUARE = "2019-06-11 10_20_30-lv1-1-2-3-4"
SIGNET, TISSUE = "Signet_ring_cell_dataset", "Colonoscopy_tissue_segment_dataset"
BOXES = ((3, 4, 20, 18), (-2, 30, 9, 43))


def read(folder: Path, options: ReadOptions = ReadOptions()):  # noqa: B008 - frozen
    return DATA_SET.read(folder, options)


def xml(boxes=BOXES, name="ring_cell_cancer", size=(50, 42)) -> str:
    sides = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{side}>{value}</{side}>" for side, value in zip(sides, box, strict=True))
        + "</bndbox></object>"
        for box in boxes
    )
    width, height = size
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])


@pytest.fixture
def folder(tmp_path) -> Path:
    image = np.zeros((42, 50, 3), np.uint8)
    image[..., 0] = 200  # blue, first in a file
    write(tmp_path / SIGNET / "sig-train-pos" / f"{CELL}.jpeg", image)
    (tmp_path / SIGNET / "sig-train-pos" / f"{CELL}.xml").write_text(xml())
    write(tmp_path / SIGNET / "sig-train-neg" / f"{BENIGN}.jpeg", image)
    below = tmp_path / TISSUE / "tissue-train-pos-v1"
    image = np.zeros((450, 600, 3), np.uint8)
    image[:, 288:, 2] = 220  # red, last
    mask = np.zeros((450, 600), np.uint8)
    mask[140:, 140:450] = 255
    write(below / f"{LESION}.jpg", image)
    write(below / f"{LESION}_mask.jpg", mask)
    write(below / f"{NO_SQUARE}.jpg", image)
    write(below / f"{NO_SQUARE}_mask.jpg", np.where(mask > 0, 100, 0).astype(np.uint8))
    write(tmp_path / TISSUE / "tissue-train-neg" / "1900.jpg", image)
    return tmp_path


def test_signet_ring_cells_are_marks(folder):
    negative, positive = (entry.load() for entry in read(folder / SIGNET)[::-1])
    assert (positive.name, positive.patient) == (f"signet-{CELL}", "digestpath-2018_64982")
    marks = positive.marks["signet-ring-cell"]
    assert marks.boxes.tolist() == [[3, 4, 20, 18], [0, 30, 9, 42]]  # cut off at the border
    assert marks.classes == ("signet-ring-cell",) * 2
    assert (positive.source, positive.mpp) == ("digestpath", 0.25)
    assert positive.image[5, 5, 2] > 150
    assert positive.image[5, 5, 0] < 50
    assert negative.patient == "digestpath-D20190481111"
    assert negative.marks["signet-ring-cell"].boxes.shape == (0, 4)
    for sample in (positive, negative):
        validate(sample)
        assert not sample.objects
        assert sample.patch_class is None


def test_squares_within_lesions_are_patches(folder):
    entries = read(folder / TISSUE)
    assert [entry.name for entry in entries] == [
        f"tissue-{LESION}-x{x}-y{y}" for x in (144, 288) for y in (144, 288)
    ]
    samples = [entry.load() for entry in entries]
    assert {s.patch_class for s in samples} == {"abnormal-epithelium"}
    assert {(s.mpp, s.patient, s.image.shape) for s in samples} == {
        (0.5, "digestpath-D201800610", (144, 144, 3))
    }
    assert samples[0].image[..., 0].max() < 60
    assert samples[2].image[:, 8:, 0].min() > 150
    validate(samples[0])


def test_whole_set_one_part_and_repeated_folders(folder, tmp_path):
    names = [entry.name for entry in read(folder)]
    assert len(names) == 6
    assert names == sorted(names)
    assert len(read(folder / SIGNET / "sig-train-neg")) == 1
    inner = tmp_path / "unpacked" / "sig-train-pos" / "sig-train-pos"
    inner.parent.mkdir(parents=True)
    (folder / SIGNET / "sig-train-pos").rename(inner)
    assert len(read(tmp_path / "unpacked")) == 1


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("18-09926A_2019-05-08 00_06_27-lv1-23990-10868-3064-4110", "digestpath-18-09926"),
        ("18-09926B_2019-05-08 00_20_27-lv1-1-2-3-4", "digestpath-18-09926"),
        ("18-00530B_2019-05-07 23_56_22-lv1-1-2-3-4", "digestpath-18-00530"),
        ("2018_68099_1-1_2019-02-20 22_18_47-lv1-1-2-3-4", "digestpath-2018_68099"),
        ("2018-71263A_2019-05-08 00_06_27-lv1-1-2-3-4", "digestpath-2018-71263"),
        ("D201900260_2019-05-21 12_52_49-lv1-1-2-3-4", "digestpath-D201900260"),
    ],
)
def test_cases_are_patients(stem, patient):
    assert _patient(stem) == patient


def test_a_scan_without_a_case_is_its_own_patient(folder):
    mask = np.full((450, 600), 255, np.uint8)
    write(folder / TISSUE / "tissue-train-pos-v1" / f"{NO_SQUARE}_mask.jpg", mask)
    (sample,) = {
        entry.load().patient for entry in read(folder / TISSUE) if entry.name.startswith("tissue-2019")
    }
    assert sample == "digestpath-2019-06-11 10_20_30"


def test_other_names_of_boxes(folder):
    path = folder / SIGNET / "sig-train-pos" / f"{CELL}.xml"
    path.write_text(xml(name="mitosis"))
    with pytest.raises(DataError, match=r"\.xml: expected classes ring_cell_cancer, found 'mitosis'"):
        read(folder)[0].load()
    for options, name in (
        (ReadOptions(drop_unmapped=True), ""),
        (ReadOptions(classes={"mitosis": "signet-ring-cell"}), "signet-ring-cell"),
    ):
        sample = read(folder, options)[0].load()
        assert sample.marks["signet-ring-cell"].classes == (name,) * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xml(boxes=((60, 4, 70, 18),)), r"boxes within 50 x 42 pixels, found \[60\.0"),
        (xml(boxes=((20, 4, 3, 18),)), "boxes within 50 x 42"),
        (xml(boxes=(("left", 4, 3, 18),)), "expected a number in bndbox/xmin, found 'left'"),
        (xml(size=(99, 42)), "found 99 x 42 pixels"),
        (xml()[:-20], "expected an XML file"),
    ],
)
def test_boxes_that_are_wrong(folder, content, message):
    path = folder / SIGNET / "sig-train-pos" / f"{CELL}.xml"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read(folder)[0].load()


def test_folders_that_are_not_complete(folder, tmp_path):
    with pytest.raises(DataError, match=r"expected Signet_ring_cell_dataset with .*found neither"):
        read(tmp_path / "nowhere")
    mask = folder / TISSUE / "tissue-train-pos-v1" / f"{LESION}_mask.jpg"
    write(mask, np.full((450, 592), 255, np.uint8))
    with pytest.raises(DataError, match=r"_mask\.jpg: expected \(450, 600\) pixels as in the image"):
        read(folder / TISSUE)[0].load()
    mask.write_bytes(b"JFIF")
    with pytest.raises(DataError, match=r"_mask\.jpg: .*cannot be decoded"):
        read(folder)
    mask.unlink()
    with pytest.raises(DataError, match=rf"{LESION}\.jpg: expected its labels"):
        read(folder)
    (folder / TISSUE / "tissue-train-pos-v1" / f"{LESION}.jpg").unlink()
    with pytest.raises(DataError, match=r"lesions of more than 144 px, found none"):
        read(folder / TISSUE)
    (folder / SIGNET / "sig-train-pos" / f"{CELL}.xml").unlink()
    with pytest.raises(DataError, match=rf"{CELL}\.jpeg: expected its labels"):
        read(folder)
