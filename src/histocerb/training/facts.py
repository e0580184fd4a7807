"""Where a run came from: code, data, versions and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from histocerb._version import __version__
from histocerb.data.store import Store
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
