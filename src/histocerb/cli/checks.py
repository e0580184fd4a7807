"""What histocerb needs and whether this machine has it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from histocerb._version import __version__
from histocerb.core.errors import HistocerbError

_OPTIONAL = {"openvino": "pip install openvino, for faster work on a CPU"}
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)")
_LEAST_DISK_GB = 5.0
_LEAST_MEMORY_GB = 4.0
_CODECS = ("JPEG", "JPEG2K", "LZW", "DEFLATE")


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        found: what is there.
        remedy: how to get what is missing; "" where all is well.
        essential: True where histocerb does not work without it.
    """

    name: str
    found: str
    remedy: str = ""
    essential: bool = True

    @property
    def ok(self) -> bool:
        """True when nothing is to be done."""
        return not self.remedy


def all_checks(folder: Path) -> Iterator[Check]:
    """Every finding, the quick ones first.

    Args:
        folder: where results will be written; its free space is looked at.
    """
    yield Check("histocerb", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    yield from _packages()
    for look in (_processor, _cuda, _openvino, _openslide, _codecs, _machine_code, _memory, _model):
        yield _safely(look)
    yield _disk(folder)


def _packages() -> Iterator[Check]:
    for requirement in requires("histocerb") or []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = _EXTRA.search(requirement)
        essential = extra is None and name not in _OPTIONAL
        remedy = f"pip install 'histocerb[{extra[1]}]'" if extra else f"pip install {name}"
        try:
            yield Check(name, version(name), essential=essential)
        except PackageNotFoundError:
            yield Check(name, "missing", _OPTIONAL.get(name, remedy), essential)


def _safely(look: Callable[[], Check]) -> Check:
    """A check that itself breaks is a finding, too."""
    try:
        return look()
    except Exception as error:
        name = look.__name__.strip("_")
        return Check(
            name, f"{type(error).__name__}: {error}", "reinstall: pip install --force-reinstall histocerb"
        )


def _processor() -> Check:
    return Check("processor", f"{os.cpu_count()} cores, {platform.machine()}")


def _cuda() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", "no CUDA GPU; the CPU does the work", essential=False)
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Check("GPU", ", ".join(names), essential=False)


def _openvino() -> Check:
    if importlib.util.find_spec("openvino") is None:
        return Check("OpenVINO", "missing", _OPTIONAL["openvino"], essential=False)
    core = importlib.import_module("openvino").Core()
    return Check("OpenVINO", str(core.get_property("CPU", "FULL_DEVICE_NAME")), essential=False)


def _openslide() -> Check:
    return Check("OpenSlide", f"library {importlib.import_module('openslide').__library_version__}")


def _codecs() -> Check:
    imagecodecs = importlib.import_module("imagecodecs")
    missing = [name for name in _CODECS if not getattr(imagecodecs, name).available]
    if missing:
        return Check(
            "TIFF codecs", f"without {', '.join(missing)}", "pip install --force-reinstall imagecodecs"
        )
    return Check("TIFF codecs", ", ".join(_CODECS))


def _machine_code() -> Check:
    folder = importlib.import_module("histocerb.core.compiled").folder()
    if folder is None:
        remedy = (
            "set NUMBA_CACHE_DIR to a folder of your own; without it every start compiles anew, for seconds"
        )
        return Check("machine code", "cannot be kept", remedy, essential=False)
    return Check("machine code", f"kept in {folder}", essential=False)


def _memory() -> Check:
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return Check("free memory", "unknown on this system", essential=False)
    free_gb = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    remedy = "" if free_gb >= _LEAST_MEMORY_GB else f"close programs; {_LEAST_MEMORY_GB:g} GB are advisable"
    return Check("free memory", f"{free_gb:.1f} GB", remedy, essential=False)


def _disk(folder: Path) -> Check:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    remedy = "" if free_gb >= _LEAST_DISK_GB else f"free space; {_LEAST_DISK_GB:g} GB are advisable"
    return Check("free disk", f"{free_gb:.1f} GB in {existing}", remedy, essential=False)


def _model() -> Check:
    from histocerb.models.checkpoint import load_checkpoint

    name = "default"
    try:
        checkpoint = load_checkpoint(name)
    except HistocerbError as error:
        return Check("default model", str(error), "reinstall: pip install --force-reinstall histocerb")
    return Check("default model", f"{checkpoint.name}, sha256 {checkpoint.sha256[:12]}, intact")
