"""CRAG: glands of colorectal adenocarcinoma at 20x, 0.5 um per pixel.

Layout as published, once in `train` (173 images) and once in `valid` (40; `test` in some copies)::

    train/Images/train_1.png        about 1512 x 1516 RGB
    train/Annotation/train_1.png    object ids, 0 for background; `Annotations` in some copies
    train/Overlay/train_1.png       the labels drawn on the image; not read

An image whose name does not begin with its part's gets it in front (`valid-test_1`). Patients are not
published: each image counts as one. All images are from one hospital, that of GlaS.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from histocerb.core.errors import DataError
from histocerb.core.samples import Sample
from histocerb.data.class_names import CRAG_CLASS, GLAND
from histocerb.data.sources.entry import DataSet, Entry, ReadOptions
from histocerb.data.sources.images import files_by_stem, in_both, read_ids, read_rgb, same_size, subfolder
from histocerb.data.sources.objects import of_one_class

NAME = "crag"
MPP = 0.5
CENTRE = "UHCW"
_PARTS = ("train", "valid", "test")


def crag(folder: Path, options: ReadOptions) -> list[Entry]:
    """Entries of a CRAG folder (one that has `train` and `valid`, or one of these), in order of names.

    Raises:
        DataError: no such folder, one of the two parts is missing, an image without labels or the reverse.
    """
    entries = []
    for part in _parts(folder):
        images = files_by_stem(subfolder(part, "Images") or part / "Images")
        labels = files_by_stem(subfolder(part, "Annotation", "Annotations") or part / "Annotation")
        for stem in in_both(images, labels, part):
            name = stem if stem.startswith(part.name.lower()) else f"{part.name.lower()}-{stem}"
            files = images[stem], labels[stem]
            entries.append(Entry(name, files, partial(_load, name, *files)))
    return sorted(entries, key=lambda entry: entry.name)


def _parts(folder: Path) -> list[Path]:
    if subfolder(folder, "Images"):
        return [folder]
    parts = [part for name in _PARTS if (part := subfolder(folder, name))]
    if not parts and (inner := subfolder(folder, NAME, "CRAG_v2")):
        return _parts(inner)
    if len(parts) < 2 or parts[0].name.lower() != _PARTS[0]:
        raise DataError(
            f"{folder}: expected CRAG's folders train and valid, "
            f"found {[part.name for part in parts] or 'neither'}; complete the download, or give one of them"
        )
    return parts


def _load(name: str, image_path: Path, label_path: Path) -> Sample:
    image, ids = read_rgb(image_path), read_ids(label_path)
    same_size(label_path, ids, image)
    return Sample(
        image,
        MPP,
        {GLAND.name: of_one_class(ids, CRAG_CLASS)},
        source=NAME,
        patient=f"{NAME}-{name}",
        name=name,
        centre=CENTRE,
    )


DATA_SET = DataSet(
    title="CRAG: glands of colorectal adenocarcinoma, 20x",
    licence="research only, no commercial use; cite Graham et al. 2019 (MILD-Net)",
    read=crag,
    takes=(),
    note="Patients are not published; images of one patient may come into several folds.",
)
