"""Reading XML files of other people: elements and text, nothing that a document type could bring in."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from histocerb.core.errors import DataError


def read_xml(path: Path) -> Element:
    """The root element of an XML file.

    The parser stops at the first document type or entity declaration, in any encoding, before anything is
    expanded or fetched.

    Raises:
        DataError: the file is missing, is not well-formed, or declares a document type or an entity.
    """
    try:
        return _parse(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: expected an XML file, found {error.strerror}; complete the data set's folder"
        ) from error
    except (expat.ExpatError, ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: expected an XML file, found {error}; download it again") from error


class _DeclarationError(ValueError):
    """The file says more than elements and text."""


def _parse(data: bytes) -> Element:
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.Parse(data, True)
    return builder.close()


def _refuse(name: str, *_: object) -> None:
    raise _DeclarationError(f"a declaration of {name!r}, which no annotation needs")
