"""The one place where class names of data sets meet ours.

A name on the right is a class or a class group of the task (`Task.groups`); None means that the data set's
class says nothing about ours: the object is kept, its class is unknown.
"""

from __future__ import annotations

from histocerb.core.tasks import CERBERUS

NUCLEI, GLAND, LUMEN, TISSUE = CERBERUS.tasks

_, EPITHELIAL, _, _, _, CONNECTIVE = NUCLEI.classes
(INFLAMMATORY,) = NUCLEI.groups
CRYPT, _ = GLAND.classes

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
