"""Which folders and files the viewer may read: results below one folder, and nothing else."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

from histocerb.analysis.objects import container_task
from histocerb.core.errors import HistocerbError, OutputError, UsageError
from histocerb.core.tasks import TaskSpec
from histocerb.inference.cohort.results import manifest_or_reason
from histocerb.inference.cohort.status import SlideState, State, slide_states
from histocerb.inference.manifest import MANIFEST_FILE, Manifest, Status, tasks_of


@dataclass(frozen=True)
class Cohort:
    """A folder of results, or the folder of one.

    Attributes:
        root: folder that was given, resolved.
        single: True where it is the folder of one slide.
    """

    root: Path
    single: bool

    @property
    def title(self) -> str:
        """What to call it."""
        return self.root.name

    def states(self) -> list[SlideState]:
        """All slides it knows of, by name; those with a result that cannot be shown have failed."""
        if not self.single:
            return [self._shown(state) for state in slide_states(self.root)]
        manifest, reason = manifest_or_reason(self.root)
        done = manifest is not None and manifest.status is Status.DONE
        state = State.DONE if done else State.FAILED
        return [self._shown(SlideState(self.root.name, state, manifest, reason))]

    def folder(self, name: str) -> Path:
        """The result folder of a slide, by a name from the list and by no other.

        Raises:
            UsageError: There is no such slide, or its folder is elsewhere.
        """
        if self.single and name == self.root.name:
            return self.root
        folder = self.root / name
        is_plain = name == Path(name).name and not self.single
        if not is_plain or not (folder / MANIFEST_FILE).is_file():
            raise UsageError(f"expected a slide of {self.root.name}, found {name!r}; choose one of the list")
        if folder.resolve().parent != self.root:
            raise UsageError(
                f"{name}: expected a folder in {self.root.name}, found a link to elsewhere; "
                "copy the result into it"
            )
        return folder

    def manifest(self, name: str) -> Manifest:
        """What the result folder of a slide says.

        Raises:
            UsageError: There is no such slide.
            OutputError: Its result is not complete.
        """
        folder = self.folder(name)
        manifest, reason = _known_manifest(folder, (folder / MANIFEST_FILE).stat().st_mtime_ns)
        if manifest is None or manifest.status is not Status.DONE:
            raise OutputError(
                f"{name}: expected a complete result, found {reason or 'one that is not done'}; "
                "run histocerb segment again"
            )
        return manifest

    def _shown(self, state: SlideState) -> SlideState:
        """A state with which one slide does not take the others down."""
        if state.manifest is None or not state.is_done:
            return state
        try:
            self.folder(state.name)
            tasks_of(state.manifest)
        except HistocerbError as error:
            return replace(state, state=State.FAILED, reason=str(error))
        return state


def open_cohort(folder: Path) -> Cohort:
    """The results of a folder.

    Raises:
        UsageError: There are none.
    """
    root = folder.resolve()
    if (root / MANIFEST_FILE).is_file():
        return Cohort(root, single=True)
    if not root.is_dir() or not slide_states(root):
        raise UsageError(
            f"{folder}: expected the results of histocerb segment, found none; give the --out of a segment, "
            "or the folder of one slide in it"
        )
    return Cohort(root, single=False)


def own_file(folder: Path, name: str) -> Path:
    """A file of a result folder, given that it really lies in it.

    Raises:
        OutputError: It is missing, or a link to somewhere else.
    """
    path = folder / name
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise OutputError(
            f"{folder.name}: expected a file {name} of its own, found none; run histocerb segment again"
        )
    return path


def container_kind(spec: TaskSpec) -> str | None:
    """The kind of object that holds others (gland), or None."""
    task = container_task(spec)
    return task.kind if task else None


@functools.lru_cache(maxsize=64)
def _known_manifest(folder: Path, _changed: int) -> tuple[Manifest | None, str]:
    """Every tile asks for the manifest of its slide."""
    return manifest_or_reason(folder)
