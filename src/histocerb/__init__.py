"""Nuclei, glands, lumina and tissue types from H&E slides.

Names are imported when they are first used: `import histocerb` loads neither torch nor anything else that
takes time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from histocerb._version import __version__

if TYPE_CHECKING:
    from histocerb.api import Model, Segmentation, load_model, segment
    from histocerb.core.errors import (
        CheckpointError,
        CorruptSlideError,
        DataError,
        HistocerbError,
        InWorkError,
        OutputError,
        ResolutionError,
        SlideError,
        UsageError,
    )
    from histocerb.core.geometry import Region
    from histocerb.core.instances import InstanceTable
    from histocerb.core.outlines import Outlines
    from histocerb.core.tasks import CERBERUS, TaskSpec
    from histocerb.inference.pipeline import WorkSettings
    from histocerb.postproc import postprocess
    from histocerb.slides.reader import Slide, open_slide

__all__ = [
    "CERBERUS",
    "CheckpointError",
    "CorruptSlideError",
    "DataError",
    "HistocerbError",
    "InWorkError",
    "InstanceTable",
    "Model",
    "Outlines",
    "OutputError",
    "Region",
    "ResolutionError",
    "Segmentation",
    "Slide",
    "SlideError",
    "TaskSpec",
    "UsageError",
    "WorkSettings",
    "__version__",
    "load_model",
    "open_slide",
    "postprocess",
    "segment",
]

_HOMES = {
    "histocerb.api": ("Model", "Segmentation", "load_model", "segment"),
    "histocerb.core.errors": (
        "CheckpointError",
        "CorruptSlideError",
        "DataError",
        "HistocerbError",
        "InWorkError",
        "OutputError",
        "ResolutionError",
        "SlideError",
        "UsageError",
    ),
    "histocerb.core.geometry": ("Region",),
    "histocerb.core.instances": ("InstanceTable",),
    "histocerb.core.outlines": ("Outlines",),
    "histocerb.core.tasks": ("CERBERUS", "TaskSpec"),
    "histocerb.inference.pipeline": ("WorkSettings",),
    "histocerb.postproc": ("postprocess",),
    "histocerb.slides.reader": ("Slide", "open_slide"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
