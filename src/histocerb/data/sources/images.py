"""Reading the image files that data sets come as."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """H x W x 3 uint8 RGB of a PNG, BMP, JPEG or TIFF file; alpha is dropped, grey becomes RGB.

    Raises:
        DataError: the file is missing or cannot be decoded.
    """
    image = _decode(path, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_ids(path: Path) -> npt.NDArray[np.int32]:
    """H x W int32 ids of a grey 8 or 16 bit label image.

    Raises:
        DataError: the file is missing, cannot be decoded or has colour.
    """
    ids = _decode(path, cv2.IMREAD_UNCHANGED)
    if ids.ndim != 2:
        raise DataError(
            f"{path}: expected a grey image of object ids, found {ids.shape[2]} channels; convert it"
        )
    return ids.astype(np.int32)


def _decode(path: Path, mode: int) -> npt.NDArray[np.uint8]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(
            f"{path}: expected an image, found {error.strerror}; complete the data set's folder"
        ) from error
    image = cv2.imdecode(data, mode) if len(data) else None
    if image is None:
        raise DataError(f"{path}: expected an image, found bytes that cannot be decoded; download it again")
    return np.asarray(image)
