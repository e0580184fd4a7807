from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from histocerb.core.errors import DataError
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.monuseg import DATA_SET, _paint, monuseg
from histocerb.data.validate import validate

Ring = list[tuple[float, float]]
SQUARE: Ring = [(2, 3), (9, 3), (9, 8), (2, 8)]
LATER: Ring = [(5, 5), (5, 12), (15, 12), (15, 5)]  # the other way round
THIN: Ring = [(20.1, 20.1), (20.2, 20.1), (20.2, 20.2)]
OUTSIDE: Ring = [(30, -5), (60, -5), (60, 4), (30, 4)]
NAME = "TCGA-A7-A13E-01Z-00-DX1"


def _xml(rings: list[Ring]) -> str:
    regions = "".join(
        f'<Region Id="{k}" Type="0" NegativeROA="0"><Attributes/><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in ring)
        + "</Vertices></Region>"
        for k, ring in enumerate(rings, start=1)
    )
    return (
        '<?xml version="1.0"?><Annotations MicronsPerPixel="0.252000"><Annotation Id="1"><Attributes/>'
        f"<Regions><RegionAttributeHeaders/>{regions}</Regions><Plots/></Annotation></Annotations>"
    )


def _make(folder: Path, name: str = NAME, *, flat: bool = False, ending: str = ".tif") -> Path:
    images = folder if flat else folder / "Tissue Images"
    labels = folder if flat else folder / "Annotations"
    for path in (images, labels):
        path.mkdir(parents=True, exist_ok=True)
    image = np.zeros((30, 40, 3), np.uint8)
    image[:10, :, 0] = 200
    tifffile.imwrite(images / f"{name}{ending}", image, photometric="rgb")
    (labels / f"{name}.xml").write_text(_xml([SQUARE, LATER, THIN, OUTSIDE]))
    return folder


def test_as_published(tmp_path: Path) -> None:
    _make(tmp_path / "MoNuSeg 2018 Training Data" / "MoNuSeg 2018 Training Data")
    _make(tmp_path / "MoNuSegTestData", "TCGA-2Z-A9J9-01A-01-TS1", flat=True, ending=".TIF")
    entries = monuseg(tmp_path, ReadOptions())
    assert [e.name for e in entries] == ["TCGA-2Z-A9J9-01A-01-TS1", NAME]
    found = entries[1].load()
    assert (found.source, found.name, found.mpp) == ("monuseg", NAME, 0.25)
    assert (found.patient, found.centre) == ("TCGA-A7-A13E", "TCGA-A7")
    assert found.image[0, 0].tolist() == [200, 0, 0]
    assert found.image[-1, 0].tolist() == [0, 0, 0]
    assert DATA_SET.read is monuseg
    for entry in entries:
        validate(entry.load())


def test_regions_become_objects(tmp_path: Path) -> None:
    (entry,) = monuseg(_make(tmp_path), ReadOptions())
    nuclei = entry.load().objects["nuclei"]
    expected = np.zeros((30, 40), np.int32)
    expected[5:12, 5:15] = 2
    expected[3:8, 2:9] = 1  # the first region keeps its pixels
    expected[:4, 30:] = 4
    assert np.array_equal(nuclei.ids, expected)
    assert nuclei.classes == {}


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.float64, (3, 2), elements=st.floats(-8, 28, width=32)))
def test_triangles_take_the_pixels_whose_centre_they_contain(ring: np.ndarray) -> None:
    ids = np.zeros((20, 24), np.int32)
    _paint(ids, ring, 7)
    y, x = np.mgrid[:20, :24] + 0.5
    sides = [
        (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
        for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True)
    ]
    clear = np.min(np.abs(sides), axis=0) > 1e-6
    inside = np.all(np.array(sides) > 0, axis=0) | np.all(np.array(sides) < 0, axis=0)
    assert np.array_equal((ids == 7)[clear], inside[clear])


def test_names_without_barcode(tmp_path: Path) -> None:
    found = monuseg(_make(tmp_path, "colon_1"), ReadOptions())[0].load()
    assert (found.patient, found.centre) == ("monuseg-colon_1", "")


def test_half_downloads(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected `Tissue Images`"):
        monuseg(tmp_path, ReadOptions())
    _make(tmp_path)
    xml = tmp_path / "Annotations" / f"{NAME}.xml"
    xml.rename(tmp_path / "Annotations" / "TCGA-00.xml")
    with pytest.raises(DataError, match=rf"{NAME}\.tif: expected its labels"):
        monuseg(tmp_path, ReadOptions())
    (tmp_path / "Tissue Images" / f"{NAME}.tif").unlink()
    with pytest.raises(DataError, match=r"TCGA-00\.xml: expected its image"):
        monuseg(tmp_path, ReadOptions())
    (tmp_path / "Annotations" / "TCGA-00.xml").unlink()
    with pytest.raises(DataError, match="expected images and their labels"):
        monuseg(tmp_path, ReadOptions())
    _make(_make(tmp_path / "a" / "b").parent / "c")
    with pytest.raises(DataError, match=rf"{NAME}\.tif: expected it once"):
        monuseg(tmp_path / "a", ReadOptions())


@pytest.mark.parametrize(
    "text, message",
    [
        (_xml([]), "found none"),
        (_xml([THIN, [(100, 100), (120, 100), (120, 130)]]), "found none"),
        (_xml([SQUARE]).replace('X="9"', 'x="9"'), "X and Y"),
        (_xml([SQUARE]).replace('X="9"', 'X="nine"'), "X and Y"),
        (_xml([SQUARE]).replace('X="9"', 'X="nan"'), "finite"),
        (_xml([SQUARE])[:-20], "expected an XML file"),
        ("<!DOCTYPE Annotations><Annotations/>", "declaration"),
    ],
)
def test_annotations_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    (_make(tmp_path) / "Annotations" / f"{NAME}.xml").write_text(text)
    (entry,) = monuseg(tmp_path, ReadOptions())
    with pytest.raises(DataError, match=rf"{NAME}\.xml: .*{message}"):
        entry.load()


def test_images_that_cannot_be_read(tmp_path: Path) -> None:
    (_make(tmp_path) / "Tissue Images" / f"{NAME}.tif").write_bytes(b"II*\0")
    with pytest.raises(DataError, match=rf"{NAME}\.tif.*decoded"):
        monuseg(tmp_path, ReadOptions())[0].load()
