"""The one place where class names of data sets meet ours.

A name on the right is a class or a class group of the task (`Task.groups`); None means that the data set's
class says nothing about ours: the object is kept, its class is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from histocerb.core.errors import DataError, UsageError
from histocerb.core.tasks import CERBERUS, MARKS, Task

Name = TypeVar("Name", int, str)

NUCLEI, GLAND, LUMEN, TISSUE = CERBERUS.tasks

NEUTROPHIL, EPITHELIAL, LYMPHOCYTE, PLASMA, EOSINOPHIL, CONNECTIVE = NUCLEI.classes
(INFLAMMATORY,) = NUCLEI.groups
CRYPT, _ = GLAND.classes
(
    BACKGROUND,
    ABNORMAL_EPITHELIUM,
    NORMAL_EPITHELIUM,
    INFLAMED,
    MUSCLE,
    STROMA,
    DEBRIS,
    MUCOUS,
    ADIPOSE,
) = TISSUE.classes
NUCLEUS_CENTRE, SIGNET_RING = MARKS
(SIGNET_RING_CELL,) = MARKS[SIGNET_RING]

CONSEP_MERGED: dict[int, str | None] = {
    1: None,  # other
    2: INFLAMMATORY,
    3: EPITHELIAL,
    4: CONNECTIVE,  # spindle-shaped: fibroblast, muscle, endothelial
}
"""CoNSeP as its authors evaluate it: four types."""

CONSEP_ORIGINAL: dict[int, str | None] = {
    1: None,  # other
    2: INFLAMMATORY,
    3: EPITHELIAL,  # healthy
    4: EPITHELIAL,  # dysplastic or malignant
    5: CONNECTIVE,  # fibroblast
    6: CONNECTIVE,  # muscle
    7: CONNECTIVE,  # endothelial
}
"""CoNSeP as published: seven types."""

GLAS_CLASS = CRYPT
"""Every GlaS object is a gland."""

CRAG_CLASS = CRYPT
"""Every CRAG object is a gland."""

DIGESTPATH_LESION = ABNORMAL_EPITHELIUM
"""What lies wholly within a malignant lesion of DigestPath, for the most part."""

DIGESTPATH_MARKS: dict[str, str | None] = {"ring_cell_cancer": SIGNET_RING_CELL}
"""DigestPath, by name of the boxes."""

KATHER_2016: dict[str, str | None] = {
    "01_TUMOR": ABNORMAL_EPITHELIUM,
    "02_STROMA": STROMA,  # with smooth muscle
    "03_COMPLEX": STROMA,  # with single tumour or immune cells
    "04_LYMPHO": INFLAMED,
    "05_DEBRIS": DEBRIS,  # with mucus
    "06_MUCOSA": NORMAL_EPITHELIUM,
    "07_ADIPOSE": ADIPOSE,
    "08_EMPTY": BACKGROUND,
}
"""Kather 2016, by folder."""

NCT_CRC_HE: dict[str, str | None] = {
    "ADI": ADIPOSE,
    "BACK": BACKGROUND,
    "DEB": DEBRIS,
    "LYM": INFLAMED,
    "MUC": MUCOUS,
    "MUS": MUSCLE,
    "NORM": NORMAL_EPITHELIUM,
    "STR": STROMA,  # cancer-associated
    "TUM": ABNORMAL_EPITHELIUM,
}
"""NCT-CRC-HE-100K and CRC-VAL-HE-7K, by folder."""

CRC_TP: dict[str, str | None] = {
    "Benign": NORMAL_EPITHELIUM,
    "Complex Stroma": STROMA,  # with single tumour or immune cells
    "Debris": DEBRIS,
    "Inflammatory": INFLAMED,
    "Muscle": MUSCLE,
    "Stroma": STROMA,
    "Tumor": ABNORMAL_EPITHELIUM,
}
"""CRC-TP, by folder."""


CRC_HISTO_PHENOTYPES: dict[str, str | None] = {
    "epithelial": EPITHELIAL,
    "fibroblast": CONNECTIVE,
    "inflammatory": INFLAMMATORY,
    "others": None,
}
"""CRCHistoPhenotypes, by the end of its files' names."""

LIZARD: dict[int, str | None] = {
    1: NEUTROPHIL,
    2: EPITHELIAL,
    3: LYMPHOCYTE,
    4: PLASMA,
    5: EOSINOPHIL,
    6: CONNECTIVE,
}
"""Lizard and CoNIC: the nuclear classes of the paper."""

PANNUKE: dict[int, str | None] = {
    0: EPITHELIAL,  # neoplastic
    1: INFLAMMATORY,
    2: CONNECTIVE,
    3: None,  # dead
    4: EPITHELIAL,  # not neoplastic
}
"""PanNuke, by channel of its masks; channel 5 is the background."""


REGION = "region"
"""Class of rectangles within which everything is annotated."""


def object_task(name: str) -> Task:
    """The task of objects with that name.

    Raises:
        UsageError: there is none.
    """
    for task in CERBERUS.objects:
        if task.name == name:
            return task
    known = ", ".join(task.name for task in CERBERUS.objects)
    raise UsageError(f"expected one of the tasks {known}, found {name!r}; give one of them with --task")


def own_names(task: Task) -> dict[str, str | None]:
    """A table for files that name classes as we do; a word for the object alone says nothing of its class."""
    return {task.kind: None} | {name: name for name in (*task.classes, *task.groups)}


def mapped(name: Name, table: Mapping[Name, str | None], where: object, *, drop_unmapped: bool) -> str | None:
    """Our name of a data set's class; None where it says nothing about ours.

    Args:
        name: the class, as the files of the data set have it.
        table: one of this module's.
        where: file or folder that has it, for the error.
        drop_unmapped: give None for a class that the table lacks.

    Raises:
        DataError: the table lacks it.
    """
    if name not in table and not drop_unmapped:
        raise DataError(
            f"{where}: expected classes {', '.join(map(str, table))}, found {name!r}; "
            "map it (data/class_names.py; --class for data of your own) or convert with --drop-unmapped"
        )
    return table.get(name)
