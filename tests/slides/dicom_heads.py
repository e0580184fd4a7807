"""Beginnings of DICOM files."""

import struct

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
