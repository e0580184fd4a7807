import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image

from histocerb.core.errors import DataError
from histocerb.data.sources.images import (
    as_codes,
    as_rgb,
    in_both,
    read_ids,
    read_mat,
    read_npy,
    read_overview,
    read_rgb,
    read_table,
    tcga_patient,
)

WHERE = Path("folder")


@pytest.mark.parametrize(
    "text, patient",
    [
        ("TCGA-AA-3489-01A-01-TS1.0b5c-4d.svs", "TCGA-AA-3489"),
        ("slides/tcga-a6-2671-01z-00-dx1", "TCGA-A6-2671"),
        ("blk-ABCD_TCGA-AA-3489", "TCGA-AA-3489"),
        ("TCGA-CR-7395_crop", "TCGA-CR-7395"),
        ("TCGA-AA-34895", None),
        ("xTCGA-AA-3489", None),
        ("consep_1", None),
        ("", None),
    ],
)
def test_tcga_patient(text: str, patient: str | None) -> None:
    assert tcga_patient(text) == patient


def test_in_both() -> None:
    one, two = {"b": Path("b.png"), "a": Path("a.png")}, {"a": Path("a.mat"), "b": Path("b.mat")}
    assert in_both(one, two, WHERE) == ["a", "b"]
    with pytest.raises(DataError, match=r"b\.png: expected its labels, found none; complete folder"):
        in_both(one, {"a": Path("a.mat")}, WHERE)
    with pytest.raises(DataError, match=r"b\.mat: expected its image"):
        in_both({"a": Path("a.png")}, two, WHERE)
    with pytest.raises(DataError, match="folder: expected images and their labels"):
        in_both({}, {}, WHERE)


def test_read_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeff Name ,other,Source\r\n\r\na , 1,"x, y"\r\n b,,z\r\n , ,\r\n'.encode())
    assert read_table(path, "name", "Source") == [
        {"name": "a", "Source": "x, y"},
        {"name": "b", "Source": "z"},
    ]
    assert len(read_table(path)) == 2
    with pytest.raises(DataError, match=r"a\.csv: expected columns name, fold, found no fold"):
        read_table(path, "name", "fold")
    path.write_text("name,source\na\n")
    with pytest.raises(DataError, match=r"a\.csv: expected 2 cells per row, found \['a'\]"):
        read_table(path, "name", "source")


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(DataError, match=r"a\.csv: expected a table with name, found No such file"):
        read_table(path, "name")
    for data in (b"", b"\xff\xfen\0a\0", b"PK\3\4\x80"):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.csv: expected"):
            read_table(path, "name")


def test_as_rgb() -> None:
    pixels = np.arange(24, dtype=np.float64).reshape(2, 4, 3) + 230
    image = as_rgb(np.minimum(pixels, 255), WHERE)
    assert image.dtype == np.uint8
    assert image.tolist() == np.minimum(pixels, 255).tolist()
    whole = image.astype(np.uint8)
    assert not np.shares_memory(as_rgb(whole, WHERE), whole)
    for wrong in (pixels + 10, pixels + 0.5, -pixels, pixels * np.nan, pixels * np.inf):
        with pytest.raises(DataError, match="colours"):
            as_rgb(wrong, WHERE)
    for array in (pixels[..., :2], pixels[0], pixels.astype(str)):
        with pytest.raises(DataError, match="H x W x 3"):
            as_rgb(array, WHERE)


def test_as_codes() -> None:
    assert as_codes(np.array([[3.0], [70_000.0]]), WHERE) == [3, 70_000]
    assert as_codes(np.zeros((0, 1)), WHERE) == []
    for wrong in ([0.5], [np.nan], [-1], ["a"]):
        with pytest.raises(DataError, match="folder: expected"):
            as_codes(np.array(wrong), WHERE)


@pytest.mark.parametrize("compressed", [True, False])
def test_matlab_files_that_are_cut_short(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    ids = np.random.default_rng(0).integers(0, 9, (20, 20))
    scipy.io.savemat(path, {"ids": ids, "more": ids}, do_compression=compressed)
    assert np.array_equal(read_mat(path, "ids")["ids"], ids)
    whole = path.read_bytes()
    for length in range(0, len(whole), 29):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.mat: expected MATLAB arrays"):
            read_mat(path, "ids", "more")


def refuses_in_words(path: Path, reader: Callable[[Path], object], places: Iterable[tuple[int, int]]) -> None:
    """A file with another byte at a place is read, or refused by its name; at some of the places refused."""
    whole, refused = path.read_bytes(), []
    for place, byte in places:
        path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        try:
            reader(path)
        except DataError as error:
            refused.append(str(error))
    assert refused
    assert all(text.startswith(f"{path}: expected") for text in refused)


@pytest.mark.parametrize("compression", ["zlib", "lzw", None])
def test_damaged_label_images(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    ids = np.random.default_rng(0).integers(0, 9, (40, 40)).astype(np.uint16)
    tifffile.imwrite(path, ids, compression=compression)
    whole = path.read_bytes()
    refuses_in_words(path, read_ids, [(at, whole[at] ^ 0xFF) for at in range(0, len(whole), 7)])


def test_damaged_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(12).reshape(3, 4))
    refuses_in_words(path, read_npy, [(at, byte) for at in range(10, 128) for byte in b"('\\{0"])


def test_images_larger_than_the_decoder_takes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    size = struct.pack(">II", 40_000, 40_000) + bytes([8, 0, 0, 0, 0])
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(bytes(40_001))), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    for reader in (read_rgb, read_ids):
        with pytest.raises(DataError, match=r"a\.png: expected an image"):
            reader(path)


def test_pixels_stay_where_the_file_has_them(tmp_path: Path) -> None:
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8] = 255
    turned = Image.Exif()
    turned[0x0112] = 3
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=turned, quality=95)
    image = read_rgb(tmp_path / "a.jpg")
    assert image.shape == (16, 24, 3)
    assert image[:7, :7].min() > 200 > 50 > image[9:, 9:].max()
    assert read_overview(tmp_path / "a.jpg").tolist() == [[255, 0, 0], [0, 0, 0]]


def test_deep_colours_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5, 3), 200, np.uint16))
    with pytest.raises(DataError, match="8 bits per colour, found uint16"):
        read_rgb(tmp_path / "a.png")


@pytest.mark.parametrize("mapped", [False, True])
def test_archives_are_no_arrays(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))
    for data in (path.read_bytes(), b"PK\x03\x04 cut short", b""):
        path.write_bytes(data)
        with pytest.raises(DataError, match="expected an array of numbers"):
            read_npy(path, mapped=mapped)
    np.save(path, np.arange(6).reshape(2, 3))
    assert read_npy(path, mapped=mapped).tolist() == [[0, 1, 2], [3, 4, 5]]
