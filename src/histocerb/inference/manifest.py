"""`manifest.json`: what was done to a slide, with what, and how far it came."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from histocerb._version import __version__
from histocerb.core.errors import OutputError
from histocerb.core.tasks import PRESETS, Head, HeadKind, Task, TaskSpec
from histocerb.inference.atomic import whole_file
from histocerb.inference.protocol import Predictor
from histocerb.slides.reader import Slide, working_mpp
from histocerb.slides.remote import is_url

MANIFEST_FILE = "manifest.json"
RUN_FILE = "run.json"
_RESULT_FORMAT = 2
"""Raised when the same inputs give other bytes: older results and leftovers are then not taken up again."""

_PACKAGES = ("numpy", "opencv-python-headless", "openvino", "pyarrow", "torch")


class Status(StrEnum):
    """How far a slide came."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class RunningModel:
    """A model that is ready to predict.

    Attributes:
        name: name or folder.
        sha256: of its weights; results of the same weights are the same.
        spec: its tasks, with the parameters of post-processing.
        predictor: runs it.
        arithmetic: kind of device and precision, on which last bits depend.
        parallel: windows that the predictor takes at a time.
        pids: processes that compute for it.
    """

    name: str
    sha256: str
    spec: TaskSpec
    predictor: Predictor
    arithmetic: str = ""
    parallel: int = 1
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """Content of `manifest.json`."""

    status: Status
    key: str
    """Hash of all that decides about the result."""
    slide: dict[str, Any]
    model: dict[str, Any]
    parameters: dict[str, Any]
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Objects per kind and class."""
    densities_per_mm2: dict[str, dict[str, float]] = field(default_factory=dict)
    tissue_area_mm2: float = 0.0
    tissue_classes_mm2: dict[str, float] = field(default_factory=dict)
    windows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    device: str = ""
    error: str | None = None
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of a complete result, size and checksum of the ends of each file."""
    versions: dict[str, str] = field(default_factory=dict)


def describe(slide: Slide, model: RunningModel) -> Manifest:
    """The manifest of a slide whose work begins."""
    about: dict[str, Any] = {
        "path": _wherever_asked(slide.path),
        "fingerprint": slide.fingerprint(),
        "width_px": slide.width_px,
        "height_px": slide.height_px,
        "mpp": slide.mpp,
        "origin_px": list(slide.origin_px),
        "vendor": slide.vendor,
    }
    return Manifest(
        status=Status.RUNNING,
        key=result_key(about["fingerprint"], slide.mpp, model),
        slide=about,
        model={"name": model.name, "sha256": model.sha256, "tasks": model.spec.name},
        parameters=_parameters(slide.mpp, model),
        device=model.predictor.device,
        versions=versions(),
    )


def _wherever_asked(path: str) -> str:
    """A path that means the same from another folder; URLs and what is no file (`array`) stay as they are."""
    return path if is_url(path) or not os.path.exists(path) else str(Path(path).absolute())


def origin_of(manifest: Manifest) -> tuple[int, int]:
    """Where QuPath begins on the slide (see `slides.reader.Slide`); earlier versions do not say it."""
    x, y = manifest.slide.get("origin_px", (0, 0))
    return int(x), int(y)


def tasks_of(manifest: Manifest) -> TaskSpec:
    """The tasks of the model that made a result: those of its preset, without the heads that it lacks.

    Without a single cell of tissue it counts as one without tissue classes.

    Args:
        manifest: of a complete result.

    Raises:
        OutputError: This version does not know them.
    """
    name = manifest.model.get("tasks")
    if name not in PRESETS:
        raise OutputError(
            f"expected tasks of a known name ({', '.join(PRESETS)}), found {name!r}; update histocerb"
        )
    spec = PRESETS[name]
    had = [head.name for task in spec.tasks for head in task.heads if _had(manifest, task, head)]
    return spec.only(had)


def _had(manifest: Manifest, task: Task, head: Head) -> bool:
    """Whether what was found shows a head: counts name every class that it could have told."""
    if head.kind is HeadKind.PATCH:
        return bool(manifest.tissue_classes_mm2)
    if task.name not in manifest.parameters.get("postproc", ()):
        return False
    return head.kind is HeadKind.INSTANCE or set(task.classes) <= set(manifest.counts.get(task.kind, ()))


def result_key(fingerprint: str, mpp: float, model: RunningModel) -> str:
    """Hash of all that decides about a result.

    Args:
        fingerprint: of the slide.
        mpp: its micrometres per pixel.
        model: what segments it.
    """
    parameters = _parameters(mpp, model)
    decisive = [_RESULT_FORMAT, fingerprint, mpp, model.sha256, parameters, asdict(model.spec)]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _parameters(mpp: float, model: RunningModel) -> dict[str, Any]:
    postproc = {task.name: asdict(task.postproc) for task in model.spec.objects if task.postproc}
    return {"working_mpp": working_mpp(mpp), "arithmetic": model.arithmetic, "postproc": postproc}


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a result folder; None where there is none.

    Raises:
        OutputError: It is damaged.
    """
    path = folder / MANIFEST_FILE
    return parse_manifest(path.read_bytes(), str(path)) if path.exists() else None


def parse_manifest(content: bytes, where: str) -> Manifest:
    """The manifest that a file holds.

    Args:
        content: of the file.
        where: its name, for the sentence of the error.

    Raises:
        OutputError: It is damaged.
    """
    try:
        found = json.loads(content)
        return Manifest(**{**found, "status": Status(found["status"])})
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"expected a manifest of histocerb, found something else in {where}; "
            "use --overwrite or another --out"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` of a slide, whole or not at all."""
    write_json(folder / MANIFEST_FILE, asdict(manifest))


def write_run(out: Path, configuration: Mapping[str, Any], model: RunningModel, device: str) -> None:
    """Write `run.json` of a whole run: resolved configuration, model, device, versions."""
    content = {
        "configuration": dict(configuration),
        "model": {"name": model.name, "sha256": model.sha256, "tasks": model.spec.name},
        "device": device,
        "versions": versions(),
    }
    write_json(out / RUN_FILE, content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        temporary.write_text(json_text(content), encoding="utf-8")


def json_text(content: Mapping[str, Any]) -> str:
    """How JSON files are written."""
    return json.dumps(content, indent=2) + "\n"


def versions() -> dict[str, str]:
    """Versions of histocerb, Python and the packages that compute."""
    found = {"histocerb": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
