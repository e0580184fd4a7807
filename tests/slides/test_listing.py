"""A slide of several files counts once."""

import struct
import uuid
from pathlib import Path

import pytest

from histocerb.slides.listing import one_per_slide, series_of
from histocerb.slides.remote import RemoteFile, file_system

UNDEFINED = 0xFFFFFFFF


def element(tag, kind, value, length=None) -> bytes:
    length = len(value) if length is None else length
    size = struct.pack("<2xI", length) if kind in (b"OB", b"SQ", b"UN") else struct.pack("<H", length)
    return struct.pack("<HH", *tag) + kind + size + value


def item(content, length=None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


def end(element) -> bytes:
    return struct.pack("<HHI", 0xFFFE, element, 0)


def series(uid) -> bytes:
    return element((0x0020, 0x000E), b"UI", uid + b"\0" * (len(uid) % 2))


def dicom(uid, undefined=False) -> bytes:
    """Beginning of a file that refers to another series before it names its own."""
    other = series(b"9.9.9")
    if undefined:
        inner = item(other, UNDEFINED) + end(0xE00D)
        refers = element((0x0008, 0x1115), b"SQ", inner + end(0xE0DD), UNDEFINED)
    else:
        refers = element((0x0008, 0x1115), b"SQ", item(other))
    head = element((0x0002, 0x0010), b"UI", b"1.2.840.10008.1.2.4.50") + element(
        (0x0002, 0x0001), b"OB", b"\0\1"
    )
    rest = element((0x0020, 0x0011), b"IS", b"1 ") + element((0x7FE0, 0x0010), b"OB", b"", UNDEFINED)
    return bytes(128) + b"DICM" + head + refers + series(uid) + rest


@pytest.mark.parametrize("undefined", [False, True])
def test_series_of_a_head(undefined):
    head = dicom(b"1.2.3", undefined)
    assert series_of(head) == "1.2.3"
    assert series_of(head.replace(series(b"1.2.3"), b"")) is None
    for length in range(0, head.index(series(b"1.2.3")) + 8, 3):
        assert series_of(head[:length]) is None
    assert series_of(b"x" * 500) is None


def files() -> dict[str, bytes]:
    tiles = "[Virtual Microscope Specimen]\r\nImageFile=b(0,0).jpg\r\nMapFile=b_map2.jpg\r\n"
    return {
        "a-0.dcm": dicom(b"1.2.3"),
        "a-1.dcm": dicom(b"1.2.3", undefined=True),
        "b(0,0).jpg": b"tile",
        "b.vms": tiles.encode(),
        "b_map2.jpg": b"map",
        "c.dcm": dicom(b"4.5"),
        "d.jpg": b"a slide of its own",
        "e.dcm": b"damaged",
        "f.dcm": b"damaged, too",
        "g.svs": b"",
    }


KEPT = ["a-0.dcm", "b.vms", "c.dcm", "d.jpg", "e.dcm", "f.dcm", "g.svs"]


def test_files_of_a_folder(tmp_path: Path):
    for name, content in files().items():
        (tmp_path / name).write_bytes(content)
    found = one_per_slide(sorted(tmp_path.iterdir()))
    assert [file.name for file in found] == KEPT


def test_the_same_series_in_another_folder_is_a_slide_of_its_own(tmp_path: Path):
    places = [tmp_path / name / "a.dcm" for name in ("one", "two")]
    for place in places:
        place.parent.mkdir()
        place.write_bytes(dicom(b"1.2.3"))
    assert one_per_slide(places) == places


def test_files_in_a_store():
    folder = RemoteFile(f"memory://{uuid.uuid4().hex}")
    for name, content in files().items():
        fs, path = file_system((folder / name).url)
        fs.pipe_file(path, content)
    found = one_per_slide([folder / name for name in sorted(files())])
    assert [file.name for file in found] == KEPT
