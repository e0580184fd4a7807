"""DigestPath 2019: signet ring cells at 40x (0.25 um per pixel) and malignant lesions at 20x (0.5 um).

Layout as published; either data set may be there alone::

    Signet_ring_cell_dataset/sig-train-pos/2018_64982_1-3_2019-02-25 21_57_36-lv0-33516-59515-2003-2010.jpeg
    Signet_ring_cell_dataset/sig-train-pos/(same name).xml     boxes as in Pascal VOC: annotation/object, each
                                                               with name and bndbox/xmin, ymin, xmax, ymax
    Signet_ring_cell_dataset/sig-train-neg/(name).jpeg         no signet ring cell, and no .xml
    Colonoscopy_tissue_segment_dataset/tissue-train-pos-v1/(name).jpg, (name)_mask.jpg
    Colonoscopy_tissue_segment_dataset/tissue-train-neg/(name).jpg     no lesion, and no mask

Signet ring cells become marks; images without any are samples with zero marks. By the authors' own account
not every cell of the positive images is marked.

Lesions are regions with all that is in them, in JPEG (inside is 128 and above). They are no glands, and the
paper of our tasks uses these images as material to label, not their masks. What the masks do tell is the
tissue type: each square of 72 um (a tissue cell) on a fixed grid that lies within a lesion becomes a patch of
abnormal epithelium. That is a weak label, for there is stroma between the glands of a tumour. Tissue outside
lesions is of no one type; it and the negative images are left out. Since nothing but the masks says which
squares there are, listing reads them at an eighth of their size.

Names begin with the case (`2018_64982`, `D20190481111`), which counts as the patient, else with the date and
time of the scan, which then does.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import DataError
from histocerb.core.samples import Marks, Sample
from histocerb.core.tasks import CELL_PX, WORKING_MPP
from histocerb.data.class_names import DIGESTPATH_LESION, DIGESTPATH_MARKS, SIGNET_RING, mapped
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import files_by_stem, in_both, read_overview, read_rgb, subfolder
from histocerb.data.sources.xml import read_xml

NAME = "digestpath"
SIGNET_MPP = 0.25
TISSUE_MPP = 0.5
_SIGNET = "Signet_ring_cell_dataset"
_TISSUE = "Colonoscopy_tissue_segment_dataset"
_MASK = "_mask"
_JPEG = (".jpg", ".jpeg")
_INSIDE = 128
_REDUCTION = 8
_SIZE = ("width", "height")
_SIDE = round(CELL_PX * WORKING_MPP / TISSUE_MPP)
_CASE = re.compile(r"(?:\d{4}[_-]\d+|\d{2}-\d{4,}|[A-Za-z]*\d+)(?=[A-Za-z]?(?:[_\s-]|$))")
_SCAN = re.compile(r"[_\s-]*(?<!\d)20\d\d-\d\d-\d\d[ _]\d\d_\d\d_\d\d")


def digestpath(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a DigestPath folder, in order of names.

    Raises:
        DataError: neither data set is there, an image without its boxes or mask or the reverse, masks that
            cannot be read, no sample at all.
    """
    positive, negative = (_part(folder, _SIGNET, name) for name in ("sig-train-pos", "sig-train-neg"))
    tissue = _part(folder, _TISSUE, "tissue-train-pos-v1", "tissue-train-pos")
    if not any((positive, negative, tissue)):
        raise DataError(
            f"{folder}: expected {_SIGNET} with sig-train-pos or {_TISSUE} with tissue-train-pos-v1, "
            "found neither; give the folder that has them"
        )
    entries = _signet_entries(positive, negative, options)
    entries += _tissue_entries(tissue) if tissue else []
    if not entries:
        raise DataError(
            f"{folder}: expected signet ring images or lesions of more than {_SIDE} px, found none; "
            "complete the download"
        )
    return sorted(entries, key=lambda entry: entry.name)


def _part(folder: Path, above: str, *names: str) -> Path | None:
    """A part of the data: here, in the folder of its data set, or as the folder itself."""
    if folder.name.lower() in names:
        return subfolder(folder, *names) or folder
    root = subfolder(folder, above) or folder
    found = subfolder(root, *names)
    return (subfolder(found, *names) or found) if found else None


def _patient(stem: str) -> str:
    scan = _SCAN.search(stem)
    before = stem[: scan.start()] if scan else stem
    case = _CASE.match(before)
    return f"{NAME}-{case.group() if case else before or stem[: scan.end() if scan else None]}"


def _signet_entries(positive: Path | None, negative: Path | None, options: ReadOptions) -> list[Entry]:
    entries = []
    for part in (positive, negative):
        images = files_by_stem(part, _JPEG) if part else {}
        boxes = files_by_stem(part, (".xml",)) if part else {}
        if part and (part == positive or set(boxes) - set(images)):
            in_both(images, boxes, part)
        for stem, image in images.items():
            name = f"signet-{stem}"
            files = (image, boxes[stem]) if stem in boxes else (image,)
            entries.append(Entry(name, files, partial(_load_signet, name, image, boxes.get(stem), options)))
    return entries


def _load_signet(name: str, image_path: Path, boxes_path: Path | None, options: ReadOptions) -> Sample:
    image = read_rgb(image_path)
    marks = Marks(np.zeros((0, 4), np.float32), ())
    if boxes_path:
        marks = _marks(boxes_path, image.shape[1], image.shape[0], options)
    return Sample(
        image,
        SIGNET_MPP,
        source=NAME,
        patient=_patient(image_path.stem),
        name=name,
        marks={SIGNET_RING: marks},
    )


def _marks(path: Path, width: int, height: int, options: ReadOptions) -> Marks:
    root = read_xml(path)
    table = {**DIGESTPATH_MARKS, **options.classes}
    boxes: list[list[float]] = []
    classes: list[str] = []
    for found in root.iter("object"):
        name = (found.findtext("name") or "").strip()
        boxes.append([_number(found, f"bndbox/{side}", path) for side in ("xmin", "ymin", "xmax", "ymax")])
        classes.append(mapped(name, table, path, drop_unmapped=options.drop_unmapped) or "")
    array = np.array(boxes, np.float32).reshape(-1, 4)
    clipped = np.clip(array, 0, np.array([width, height] * 2, np.float32))
    wrong = (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
    said = tuple(int(_number(root, f"size/{side}", path)) for side in _SIZE if root.findtext(f"size/{side}"))
    if wrong.any() or (len(said) == 2 and min(said) > 0 and said != (width, height)):
        what = array[wrong][0].tolist() if wrong.any() else f"{said[0]} x {said[1]} pixels"
        raise DataError(
            f"{path}: expected boxes within {width} x {height} pixels, found {what}; download it again"
        )
    return Marks(clipped, tuple(classes))


def _number(element: Element, path_below: str, path: Path) -> float:
    text = element.findtext(path_below)
    try:
        return float(text or "")
    except ValueError:
        raise DataError(
            f"{path}: expected a number in {path_below}, found {text!r}; download it again"
        ) from None


def _tissue_entries(part: Path) -> list[Entry]:
    files = files_by_stem(part, _JPEG)
    images = {stem: path for stem, path in files.items() if not stem.endswith(_MASK)}
    masks = {stem.removesuffix(_MASK): path for stem, path in files.items() if stem.endswith(_MASK)}
    return [
        Entry(
            name := f"tissue-{stem}-x{x}-y{y}",
            (images[stem], masks[stem]),
            partial(_load_square, name, images[stem], masks[stem], size, x, y),
        )
        for stem in in_both(images, masks, part)
        for size, x, y in _squares(masks[stem])
    ]


def _squares(mask: Path) -> list[tuple[tuple[int, ...], int, int]]:
    """Size of the mask in blocks of 8 px, then column and row of the corner of each square in a lesion."""
    inside = read_overview(mask) >= _INSIDE
    rows, columns = (((blocks - 1) * _REDUCTION + 1) // _SIDE for blocks in inside.shape)
    blocks = _SIDE // _REDUCTION
    squares = inside[: rows * blocks, : columns * blocks].reshape(rows, blocks, columns, blocks)
    return [
        (inside.shape, int(column) * _SIDE, int(row) * _SIDE)
        for row, column in np.argwhere(squares.all(axis=(1, 3)))
    ]


def _load_square(
    name: str, image_path: Path, mask_path: Path, mask_blocks: tuple[int, ...], x: int, y: int
) -> Sample:
    image = _decoded(image_path)
    if tuple(-(-side // _REDUCTION) for side in image.shape[:2]) != mask_blocks:
        raise DataError(
            f"{mask_path}: expected {image.shape[:2]} pixels as in the image, "
            f"found about {tuple(side * _REDUCTION for side in mask_blocks)}; download it again"
        )
    return Sample(
        image[y : y + _SIDE, x : x + _SIDE].copy(),
        TISSUE_MPP,
        patch_class=DIGESTPATH_LESION,
        source=NAME,
        patient=_patient(image_path.stem),
        name=name,
    )


@lru_cache(maxsize=2)
def _decoded(path: Path) -> npt.NDArray[np.uint8]:
    """The image that the last squares were of, which the next ones mostly are of, too."""
    return read_rgb(path)


DATA_SET = DataSet(
    title="DigestPath 2019: signet ring cells, 40x, and malignant lesions, 20x",
    licence="DATABASE USE AGREEMENT of the challenge, research only; cite Da et al. 2022",
    read=digestpath,
    takes=("drop_unmapped", "classes"),
    note="Patches from lesions are weak labels; not every signet ring cell of the positive images is marked.",
)
