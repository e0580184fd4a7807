"""A slide of several files counts once."""

import uuid
from pathlib import Path

import pytest
from dicom_heads import dicom, series

from histocerb.slides.listing import one_per_slide, series_of
from histocerb.slides.remote import RemoteFile, file_system


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
