"""Which files of a store are one slide."""

import uuid

import pytest
from dicom_heads import dicom

from histocerb.slides import remote_slide
from histocerb.slides.remote import RemoteFile, file_system
from histocerb.slides.remote_slide import slide_bytes, slide_files


@pytest.fixture
def store():
    folder = RemoteFile(f"memory://{uuid.uuid4().hex}")

    def write(**files):
        for name, content in files.items():
            fs, path = file_system((folder / name.replace("__", "/").replace("_", ".")).url)
            fs.pipe_file(path, content)
        return folder

    return write


def names(place):
    return [file.place.url.removeprefix(f"{place.parent}/") for file in slide_files(place)]


def test_a_slide_with_a_folder(store):
    folder = store(s_mrxs=b"index", s__Slidedat_ini=b"ini", s__Data0_dat=b"data", t__Data0_dat=b"other")
    slide = folder / "s.mrxs"
    assert names(slide) == ["s.mrxs", "s/Data0.dat", "s/Slidedat.ini"]
    assert slide_bytes(slide) == len(b"indexinidata")
    before = slide_files(slide)
    assert slide_files(slide) == before
    store(s__Data0_dat=b"DATA")
    assert slide_files(slide) != before


def test_dicom_files_of_other_series_are_left_out(store, monkeypatch):
    one, two = dicom(b"1.2.3"), dicom(b"4.5")
    folder = store(a0_dcm=one, a1_dcm=one, b0_dcm=two, b1_dcm=two, c_dcm=b"says nothing", d_svs=b"")
    read = []
    monkeypatch.setattr(remote_slide, "head_of", lambda file: read.append(file) or HEAD_OF(file))
    assert names(folder / "a1.dcm") == ["a1.dcm", "a0.dcm", "c.dcm"]
    assert names(folder / "b0.dcm") == ["b0.dcm", "b1.dcm", "c.dcm"]
    assert names(folder / "c.dcm") == ["c.dcm", "a0.dcm", "a1.dcm", "b0.dcm", "b1.dcm"]
    assert slide_bytes(folder / "b0.dcm") == 2 * len(two) + len(b"says nothing")
    assert len(read) == 5  # once, whatever the number of slides
    store(b1_dcm=one + b"replaced")
    assert names(folder / "a1.dcm") == ["a1.dcm", "a0.dcm", "b1.dcm", "c.dcm"]


HEAD_OF = remote_slide.head_of


def test_no_slide_takes_nothing(store):
    folder = store(a_svs__b=b"a folder of that name")
    assert [slide_bytes(folder / name) for name in ("none.mrxs", "a.svs")] == [0, 0]
