"""Reading the files that data sets come as."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from tokenize import TokenError
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import scipy.io
import tifffile
from scipy.io.matlab import MatReadError

from histocerb.core.errors import DataError

IMAGE_ENDINGS = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")
_TIFF = (".tif", ".tiff")
_HIGHEST_ID = 2**31 - 1
_TCGA = re.compile(r"(?<![A-Za-z0-9])TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}(?![A-Za-z0-9])", re.IGNORECASE)


def files_by_stem(folder: Path, endings: Collection[str] = IMAGE_ENDINGS) -> dict[str, Path]:
    """Files right in a folder by name without ending, in order of names; {} when there is no such folder.

    Endings are compared without case; hidden files (`.DS_Store`, `._1.png`) are left out.

    Raises:
        DataError: two files differ in their ending only.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() not in endings or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise DataError(
                f"{path}: expected one file named {path.stem}, found {found[path.stem].name} too; remove one"
            )
        found[path.stem] = path
    return found


def subfolder(folder: Path, *names: str) -> Path | None:
    """The folder right below `folder` whose name is one of `names` without regard to case, or None."""
    wanted = {name.lower() for name in names}
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    return next((path for path in below if path.name.lower() in wanted and path.is_dir()), None)


def in_both(images: Mapping[str, Path], labels: Mapping[str, Path], where: Path) -> list[str]:
    """Names of images and their labels, in order.

    Raises:
        DataError: an image has no labels, labels have no image, or there is neither.
    """
    for found, other, missing in ((images, labels, "labels"), (labels, images, "image")):
        for name in sorted(set(found) - set(other)):
            raise DataError(f"{found[name]}: expected its {missing}, found none; complete {where}")
    if not images:
        raise DataError(f"{where}: expected images and their labels, found none; give the folder of the set")
    return sorted(images)


def stem_in_table(cell: str) -> str:
    """Name without folders and ending from a table's cell, which may be a path of Windows."""
    return PurePosixPath(cell.strip().strip('"').replace("\\", "/")).stem


def stem_among(cell: str, names: Collection[str]) -> str:
    """One of the names, which may have dots of their own, from a cell with or without folders and ending."""
    name = PurePosixPath(cell.replace("\\", "/")).name
    return name if name in names else stem_in_table(cell)


def tcga_patient(text: str) -> str | None:
    """The case that a TCGA barcode in a name is of, `TCGA-XX-XXXX`; None where there is no barcode.

    Cases have no prefix of the source, so that a patient is the same in all data sets with TCGA images.
    """
    found = _TCGA.search(text)
    return found.group().upper() if found else None


def named_patient(row: Any) -> str:
    """What a row of a JSON file calls the patient, as text; "" where it names none."""
    named = row.get("patient") if isinstance(row, Mapping) else None
    return "" if named is None else str(named).strip()


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """H x W x 3 uint8 RGB of a PNG, BMP, JPEG or TIFF file; alpha is dropped, grey becomes RGB.

    Pixels stay where the file has them: an EXIF orientation is not heeded, as by label images and slides.

    Raises:
        DataError: the file is missing, cannot be decoded, or has more than 8 bits per colour.
    """
    image = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    if image.dtype != np.uint8:
        raise DataError(
            f"{path}: expected an image of 8 bits per colour, found {image.dtype}; convert it to 8 bits"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_overview(path: Path) -> npt.NDArray[np.uint8]:
    """Grey image of an eighth of the size, rounded up; quick for JPEG, whose 8 x 8 blocks it averages.

    Raises:
        DataError: the file is missing or cannot be decoded.
    """
    return _decode(path, cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION)


def read_ids(path: Path) -> npt.NDArray[np.int32]:
    """H x W int32 ids of a grey label image (PNG, BMP, TIFF of 8 to 32 bits) or of a .npy array.

    Raises:
        DataError: the file is missing, cannot be decoded, has colour or numbers that are no ids.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return as_ids(read_npy(path), path)
    if suffix in _TIFF:
        try:
            return as_ids(np.asarray(tifffile.imread(path)), path)
        except Exception as error:  # decoders raise anything on damaged data
            raise DataError(
                f"{path}: expected an image of object ids, found {_words(error)}; download it again"
            ) from error
    return as_ids(_decode(path, cv2.IMREAD_UNCHANGED), path)


def as_ids(array: npt.NDArray[Any], path: Path) -> npt.NDArray[np.int32]:
    """The array as ids of objects: H x W whole numbers from 0, of whatever type they are stored as.

    Raises:
        DataError: other dimensions, fractions, numbers below 0 or above 2^31 - 1.
    """
    ids = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    if ids.ndim != 2 or ids.dtype.kind not in "biuf" or ids.size == 0:
        raise DataError(
            f"{path}: expected H x W object ids, found {array.dtype} of {array.shape}; "
            "convert it to one grey channel"
        )
    if ids.dtype.kind == "f" and not (np.isfinite(ids).all() and (ids == np.floor(ids)).all()):
        raise DataError(f"{path}: expected whole numbers as object ids, found fractions; convert it")
    if ids.min() < 0 or ids.max() > _HIGHEST_ID:
        raise DataError(
            f"{path}: expected object ids from 0, found {ids.min()} to {ids.max()}; renumber them"
        )
    return ids.astype(np.int32)


def as_rgb(array: npt.NDArray[Any], path: Path) -> npt.NDArray[np.uint8]:
    """A copy of the array as an image: H x W x 3 whole numbers from 0 to 255, of whatever type.

    Raises:
        DataError: other dimensions, fractions or other numbers.
    """
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype.kind not in "iuf":
        raise DataError(
            f"{path}: expected H x W x 3 pixels, found {array.dtype} of {array.shape}; download it again"
        )
    image = np.array(np.clip(np.nan_to_num(array), 0, 255), np.uint8)
    if not np.array_equal(image, array):
        raise DataError(f"{path}: expected colours as whole numbers up to 255, found others; convert it")
    return image


def as_codes(array: npt.NDArray[Any], path: Path) -> list[int]:
    """The array as a list of whole numbers (ids, classes), of whatever type and shape they are stored as.

    Raises:
        DataError: text, fractions or numbers below 0.
    """
    flat = array.ravel()
    if flat.size == 0:
        return []
    return [int(code) for code in as_ids(flat.reshape(-1, 1), path)[:, 0]]


def same_size(label: Path, ids: npt.NDArray[Any], image: npt.NDArray[np.uint8]) -> None:
    """Refuse labels of another size than their image.

    Raises:
        DataError: they differ.
    """
    if ids.shape[:2] != image.shape[:2]:
        raise DataError(
            f"{label}: expected {image.shape[:2]} pixels as in the image, found {ids.shape[:2]}; "
            "download it again"
        )


def read_npy(path: Path, *, mapped: bool = False) -> npt.NDArray[Any]:
    """An array of a .npy file, never unpickled; `mapped`: left on disk until it is looked at.

    Raises:
        DataError: the file is missing, cut short, or holds Python objects.
    """
    try:
        if mapped:
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, MemoryError) as error:
        raise DataError(
            f"{path}: expected an array of numbers, found {_words(error)}; download it again"
        ) from error
    return array


def read_mat(path: Path, *names: str) -> dict[str, npt.NDArray[Any]]:
    """Named arrays of a MATLAB file (versions 4 to 7).

    Raises:
        DataError: the file is missing or cannot be decoded, or one of the arrays is not there.
    """
    try:
        content = scipy.io.loadmat(path, variable_names=names)
        return {name: content[name] for name in names}
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        NotImplementedError,
        MatReadError,
        zlib.error,
    ) as error:
        raise DataError(
            f"{path}: expected MATLAB arrays {' and '.join(names)}, found {error}; download it again"
        ) from error


def read_table(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV file with a heading, without spaces around names and cells; blank rows are left out.

    Args:
        path: UTF-8, with or without a byte order mark.
        columns: the columns that are wanted, of any case in the file.

    Raises:
        DataError: the file is missing, is no text, or lacks a column or a cell of one.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"{path}: expected a table with {', '.join(columns)}, found {found}; complete the folder"
        ) from error
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    heading, *body = [row for row in rows if any(row)] or [[]]
    names = [name.lower() for name in heading]
    if missing := [name for name in columns if name.lower() not in names]:
        raise DataError(
            f"{path}: expected columns {', '.join(columns)}, found no {', '.join(missing)}; download it again"
        )
    at = {name: names.index(name.lower()) for name in columns}
    for row in body:
        if len(row) <= max(at.values(), default=-1):
            raise DataError(f"{path}: expected {len(names)} cells per row, found {row}; download it again")
    return [{name: row[k] for name, k in at.items()} for row in body]


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _decode(path: Path, mode: int) -> npt.NDArray[np.uint8]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(
            f"{path}: expected an image, found {error.strerror}; complete the data set's folder"
        ) from error
    try:
        image = cv2.imdecode(data, mode) if len(data) else None
    except cv2.error as error:
        raise DataError(
            f"{path}: expected an image, found {error.err or error}; cut it into smaller ones"
        ) from error
    if image is None:
        raise DataError(f"{path}: expected an image, found bytes that cannot be decoded; download it again")
    return np.asarray(image)
