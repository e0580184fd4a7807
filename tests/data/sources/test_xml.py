from pathlib import Path

import pytest

from histocerb.core.errors import DataError
from histocerb.data.sources.xml import read_xml

LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>'


def _file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_elements_attributes_and_text(tmp_path: Path, encoding: str) -> None:
    text = '<a n="1"><!-- note --><b X="2.5">gr&#252;n &amp; blau</b><b/></a>'
    root = read_xml(_file(tmp_path, text.encode(encoding)))
    assert (root.tag, root.attrib) == ("a", {"n": "1"})
    assert [(e.get("X"), e.text) for e in root.iter("b")] == [("2.5", "grün & blau"), (None, None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "<!DOCTYPE a><a/>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "http://nowhere.invalid/x"> %b;]><a/>',
    ],
)
def test_declarations_are_refused(tmp_path: Path, text: str, encoding: str) -> None:
    with pytest.raises(DataError, match=r"a\.xml: expected an XML file, found a declaration"):
        read_xml(_file(tmp_path, text.encode(encoding)))


@pytest.mark.parametrize("data", [b"", b"no xml", b"<a><b></a>", b"<a>\xff</a>", b"<a>&unknown;</a>", b"<a/"])
def test_what_is_not_xml(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.xml: expected an XML file"):
        read_xml(_file(tmp_path, data))


def test_encodings_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xml: expected an XML file"):
        read_xml(_file(tmp_path, b'<?xml version="1.0" encoding="klingon"?><a/>'))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_xml(tmp_path / "a.xml")
