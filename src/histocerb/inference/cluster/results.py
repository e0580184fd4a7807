"""The folder of a whole cohort, on a disk that all machines see or in a store.

What is told of a cohort (`run.json`, failures, summary, status) is made from small files. Those of a store
are copied into a local folder, its mirror, and what changes there is sent back; tables and pictures stay
where they are.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from histocerb.core.errors import OutputError, UsageError
from histocerb.core.tasks import TaskSpec
from histocerb.inference.cluster.store import Store
from histocerb.inference.cluster.store_lease import alive_name, lease_numbers, read_holder
from histocerb.inference.cohort.failures import FAILURES_FILE
from histocerb.inference.cohort.plan import Plan
from histocerb.inference.cohort.results import COLUMNS_FILE, manifest_or_reason
from histocerb.inference.cohort.run import Outcome, begin_cohort, end_cohort, keep
from histocerb.inference.cohort.slides import SUMMARY_FILE
from histocerb.inference.lease import LEASE_FILE
from histocerb.inference.manifest import MANIFEST_FILE, RUN_FILE, RunningModel, Status, json_text
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.work import WORK_FOLDER
from histocerb.slides.remote import Place

_LOG = logging.getLogger(__name__)

_RECORD = r"\.failed\.[^/]+\.json"
_SMALL = re.compile(
    rf"{RUN_FILE}|{FAILURES_FILE}|{SUMMARY_FILE}|{_RECORD}|[^/]+/(?:{COLUMNS_FILE}|{MANIFEST_FILE})"
)
"""Files of the mirror. Manifests are sent by who works on the slide, the others from here."""
_TRIES = 10


class Results(Protocol):
    """Where a cohort's results go."""

    folder: Path
    """On this machine: the results, or the mirror of a store."""

    def begin(self, plan: Plan, model: RunningModel, settings: WorkSettings, device: str) -> None:
        """What is to be done before any slide; see `cohort.run.begin_cohort`."""
        ...

    def keep(self, outcome: Outcome, spec: TaskSpec) -> None:
        """Keep what became of a slide."""
        ...

    def end(self, model: RunningModel) -> None:
        """What is to be done after all slides."""
        ...


class FolderResults:
    """Results on a disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, plan: Plan, model: RunningModel, settings: WorkSettings, device: str) -> None:
        """See `Results.begin`."""
        begin_cohort(plan, model, self.folder, settings, device)

    def keep(self, outcome: Outcome, spec: TaskSpec) -> None:
        """See `Results.keep`."""
        keep(self.folder, outcome, spec)

    def end(self, model: RunningModel) -> None:
        """See `Results.end`."""
        end_cohort(self.folder, model)


class StoreResults:
    """Results in a store, with a mirror of their small files.

    Attributes:
        store: the folder in the store.
        folder: the mirror.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self._known: dict[str, bytes] = {}
        self._unsent: set[str] = set()
        self.pull()

    def begin(self, plan: Plan, model: RunningModel, settings: WorkSettings, device: str) -> None:
        """See `Results.begin`."""
        begin_cohort(plan, model, self.folder, settings, device)
        self._push([RUN_FILE])

    def keep(self, outcome: Outcome, spec: TaskSpec) -> None:
        """See `Results.keep`; what the store refuses does not stop the others, and is sent the next time."""
        slide = outcome.slide.name
        if outcome.result is not None:
            self._mirror(f"{slide}/{MANIFEST_FILE}", json_text(asdict(outcome.result.manifest)).encode())
        keep(self.folder, outcome, spec)
        try:
            self._push([f".failed.{slide}.json", f"{slide}/{COLUMNS_FILE}", FAILURES_FILE, SUMMARY_FILE])
        except (OutputError, OSError) as error:
            _LOG.warning("%s: what became of it could not be sent yet: %s", outcome.slide.path, error)

    def end(self, model: RunningModel) -> None:
        """See `Results.end`; written anew until no other process has changed anything meanwhile."""
        self.pull()
        for _ in range(_TRIES):
            end_cohort(self.folder, model)
            self._push([FAILURES_FILE, SUMMARY_FILE])
            if not self.pull():
                return

    def pull(self) -> bool:
        """Bring the mirror up to date; False where nothing had changed in the store."""
        names = [name for name in self.store.files() if _SMALL.fullmatch(name)]
        found = self.store.read_all(names)
        gone = self._known.keys() - found.keys()
        changed = {name: content for name, content in found.items() if self._known.get(name) != content}
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
            del self._known[name]
        for name, content in changed.items():
            self._mirror(name, content)
        return bool(gone or changed)

    def _mirror(self, name: str, content: bytes) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        self._known[name] = content

    def _push(self, names: Iterable[str]) -> None:
        """Send what has changed in the mirror of these files, and of those that could not be sent before."""
        self._unsent.update(names)
        for name in sorted(self._unsent):
            path = self.folder / name
            content = path.read_bytes() if path.exists() else None
            if content is None and name in self._known:
                self.store.remove(name)
                del self._known[name]
            elif content is not None and content != self._known.get(name):
                self.store.write(name, content)
                self._known[name] = content
            self._unsent.discard(name)

    def mirror_leases(self) -> None:
        """Show in the mirror who works on slides, as `status` looks for it."""
        for name in [name for name in self._known if name.endswith(f"/{MANIFEST_FILE}")]:
            folder = name.partition("/")[0]
            manifest, _ = manifest_or_reason(self.folder / folder)
            if manifest is not None and manifest.status is Status.RUNNING:
                _mirror_lease(self.store / folder, self.folder / folder / WORK_FOLDER)


def _mirror_lease(slide: Store, work: Path) -> None:
    """A lease of a store as one of a disk: who, and when was the last sign of life."""
    numbers = lease_numbers(slide)
    holder = read_holder(slide, numbers[-1]) if numbers else None
    alive = slide.modified(alive_name(holder.token)) if holder else None
    if holder is None or alive is None:
        return
    work.mkdir(parents=True, exist_ok=True)
    (work / LEASE_FILE).write_text(json.dumps(asdict(holder)), encoding="utf-8")
    os.utime(work / LEASE_FILE, (min(alive.timestamp(), time.time()),) * 2)


@contextmanager
def results_at(place: Place) -> Iterator[FolderResults | StoreResults]:
    """The results at a path or URL.

    Raises:
        OutputError: The store cannot be read.
    """
    if isinstance(place, Path):
        yield FolderResults(place)
        return
    with tempfile.TemporaryDirectory(prefix="histocerb-mirror-") as folder:
        yield StoreResults(Store(place), Path(folder))


@contextmanager
def seen_at(place: Place) -> Iterator[Path]:
    """A local folder that shows how far the results at a path or URL are.

    Raises:
        UsageError: There are none at a URL.
    """
    with results_at(place) as results:
        if isinstance(results, StoreResults):
            if not any(results.folder.iterdir()):
                raise UsageError(f"{place}: expected results, found none; give the --out of a segment")
            results.mirror_leases()
        yield results.folder
