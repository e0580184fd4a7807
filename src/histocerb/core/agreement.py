"""What the heads of a spec should say together: classes and tasks that belong to each other, as data."""

from __future__ import annotations

from dataclasses import dataclass

from histocerb.core.tasks import CERBERUS, CERBERUS_ERODED


@dataclass(frozen=True)
class Agreement:
    """Rules that hold in tissue and that no head alone can check.

    Attributes:
        container: name of the task whose objects are lined by nuclei.
        content: name of the task whose objects lie in containers only.
        lining: name of the task of the lining objects.
        lining_classes: their classes.
        lined_tissue: tissue classes that such objects make up, also without containers.
        bare_tissue: tissue classes that hold no containers.
        empty_tissue: tissue classes in which there is nothing to annotate.
    """

    container: str
    content: str
    lining: str
    lining_classes: tuple[str, ...]
    lined_tissue: tuple[str, ...]
    bare_tissue: tuple[str, ...]
    empty_tissue: tuple[str, ...]


_NUCLEI, _GLAND, _LUMEN, _TISSUE = CERBERUS.tasks
_EPITHELIAL = _NUCLEI.classes[1]
_BACKGROUND, _ABNORMAL, _NORMAL, _, _MUSCLE, _, _, _, _ADIPOSE = _TISSUE.classes

_OF_CERBERUS = Agreement(
    container=_GLAND.name,
    content=_LUMEN.name,
    lining=_NUCLEI.name,
    lining_classes=(_EPITHELIAL,),
    lined_tissue=(_ABNORMAL, _NORMAL),
    bare_tissue=(_BACKGROUND, _MUSCLE, _ADIPOSE),
    empty_tissue=(_BACKGROUND,),
)

AGREEMENTS = {CERBERUS.name: _OF_CERBERUS, CERBERUS_ERODED.name: _OF_CERBERUS}
"""Per name of a spec."""
