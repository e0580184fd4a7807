"""How far a cohort is, from what is on disk; works while others write."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.failures import Failure, read_failures
from histocerb.inference.cohort.results import manifest_or_reason, result_folders
from histocerb.inference.lease import looks_held
from histocerb.inference.manifest import MANIFEST_FILE, RUN_FILE, Manifest, Status
from histocerb.inference.work import WORK_FOLDER


class State(StrEnum):
    """How far a slide is."""

    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """Begun, and no process works on it: the next run goes on with it."""
    WAITING = "not begun"


@dataclass(frozen=True)
class SlideState:
    """How far one slide is.

    Attributes:
        name: of its result folder.
        state: how far.
        manifest: what its folder says, or None.
        reason: why it failed.
    """

    name: str
    state: State
    manifest: Manifest | None = None
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """True with a complete result."""
        return self.state is State.DONE


def slide_states(out: Path) -> list[SlideState]:
    """All slides that `out` knows of, by name: those of the last call, with results, or failed.

    Raises:
        UsageError: There is no such folder, or it is that of one slide.
    """
    if not out.is_dir():
        raise UsageError(f"{out}: expected a folder of results, found none; give the --out of a segment")
    if (out / MANIFEST_FILE).exists():
        raise UsageError(
            f"{out}: expected a folder of results, found the result of one slide; give the folder it is in"
        )
    failed = read_failures(out)
    begun = {folder.name: folder for folder in result_folders(out)}
    names = sorted({*_cohort_names(out), *failed, *begun})
    return [_state(name, begun, failed) for name in names]


def _state(name: str, begun: Mapping[str, Path], failed: Mapping[str, Failure]) -> SlideState:
    manifest, reason = manifest_or_reason(begun[name]) if name in begun else (None, "")
    if manifest is not None and manifest.status is Status.RUNNING:
        held = looks_held(begun[name] / WORK_FOLDER)
        state = State.RUNNING if held else State.INTERRUPTED
        return SlideState(name, state, manifest)
    if name in failed:
        return SlideState(name, State.FAILED, manifest, failed[name].reason)
    if manifest is None:
        return SlideState(name, State.FAILED if reason else State.WAITING, None, reason)
    if manifest.status is Status.FAILED:
        return SlideState(name, State.FAILED, manifest, manifest.error or "")
    return SlideState(name, State.DONE, manifest)


def _cohort_names(out: Path) -> list[str]:
    """The slides of the last call; none where `run.json` is missing or of an older version."""
    try:
        content = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
        return [os.fspath(slide["name"]) for slide in content["configuration"]["cohort"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
