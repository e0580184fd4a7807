"""Where a run came from: code, data, versions and machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from histocerb._version import __version__
from histocerb.core.errors import CheckpointError
from histocerb.data.store import Store
from histocerb.models.checkpoint import WEIGHTS_FILE, find_checkpoint
from histocerb.training.config import TrainConfig
from histocerb.training.evaluation.measure import fingerprint

_PACKAGES = ("torch", "lightning", "numpy", "opencv-python-headless")


def run_facts(store: Store, seed: int) -> dict[str, Any]:
    """What `facts.json` holds."""
    return {
        "git": git_state(Path()),
        "data": {"store": str(store.path), "fingerprint": fingerprint(store.records)},
        "versions": _versions(),
        "machine": _machine(),
        "seed": seed,
    }


def weights_facts(config: TrainConfig) -> dict[str, str]:
    """sha256 of the files of weights that a run begins with, by their keys of the configuration.

    Files that are not there are left out: a complete run does not need them, any other says what it lacks.
    """
    files = {}
    if config.start_from is not None:
        with suppress(CheckpointError):
            files["start_from"] = find_checkpoint(config.start_from) / WEIGHTS_FILE
    if config.encoder_weights is not None:
        files["encoder_weights"] = Path(config.encoder_weights)
    found = {}
    for key, path in files.items():
        with suppress(OSError), path.open("rb") as file:
            found[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the repository around `folder`, and whether files in it differ; None where there is none."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "dirty": bool(changes)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {"histocerb": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _machine() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "gpus": gpus,
    }
