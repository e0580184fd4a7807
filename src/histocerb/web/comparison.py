"""Two results of the same slides: which belong together, and what changed, computed once and kept."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from histocerb.core.errors import HistocerbError, OutputError, UsageError
from histocerb.web.changes import compare
from histocerb.web.differences import Differences
from histocerb.web.opened import Desk, Opened
from histocerb.web.results import Cohort

_LOG = logging.getLogger(__name__)

_MOST_KEPT = 2


class _Ended(Exception):  # noqa: N818 - not an error: the server ends
    pass


@dataclass
class _Work:
    """A comparison that runs or is done."""

    stamps: tuple[str, str]
    share: float = 0.0
    found: Differences | None = None
    problem: HistocerbError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Comparison:
    """Results of two folders, by the slides that both have; safe from several threads.

    Attributes:
        desks: the first and the second result.
        pairs: by name in the first, the name in the second.
    """

    def __init__(self, first: Desk, second: Desk) -> None:
        """Pair the slides.

        Raises:
            UsageError: They have no slide in common.
        """
        self.desks = first, second
        self.pairs = _pairs(first.cohort, second.cohort)
        self._work: OrderedDict[str, _Work] = OrderedDict()
        self._lock = threading.Lock()
        self._ends = threading.Event()

    @property
    def titles(self) -> list[str]:
        """What to call both: by their folders, with those above where these have the same name."""
        roots = [desk.cohort.root for desk in self.desks]
        if roots[0].name != roots[1].name:
            return [root.name for root in roots]
        return [f"{root.parent.name}/{root.name}" for root in roots]

    def partner(self, name: str) -> str:
        """The name that a slide of the first result has in the second.

        Raises:
            UsageError: The second does not have it.
        """
        if name not in self.pairs:
            title = self.titles[1]
            raise UsageError(
                f"expected a slide that {title} has too, found {name!r} only here; "
                f"compare one of {', '.join(sorted(self.pairs))}"
            )
        return self.pairs[name]

    def share(self, name: str) -> float:
        """How much of a comparison is done, 1 when it can be asked; begins it."""
        work = self._begun(name)
        return 1.0 if work.done.is_set() else min(work.share, 0.99)

    def differences(self, name: str) -> Differences:
        """What changed on a slide; waits until that is known.

        Raises:
            UsageError: The second result does not have the slide.
            OutputError: A result is incomplete or damaged.
        """
        work = self._begun(name)
        work.done.wait()
        if work.problem is not None:
            raise work.problem
        if work.found is None:
            raise OutputError(f"{name}: expected a comparison, found the viewer ending; open it again")
        return work.found

    def name_of(self, side: int, name: str) -> str:
        """The name in the first result, of a name in one of the two."""
        if side == 0:
            return name
        return next((first for first, second in self.pairs.items() if second == name), name)

    def close(self) -> None:
        """End what runs."""
        self._ends.set()

    def _begun(self, name: str) -> _Work:
        first, second = self.desks[0].result(name), self.desks[1].result(self.partner(name))
        stamps = first.stamp, second.stamp
        with self._lock:
            work = self._work.get(name)
            if work is None or work.stamps != stamps:
                work = self._work[name] = _Work(stamps)
                threading.Thread(target=self._run, args=(work, first, second), daemon=True).start()
            self._work.move_to_end(name)
            while len(self._work) > _MOST_KEPT:
                self._work.popitem(last=False)
            return work

    def _run(self, work: _Work, first: Opened, second: Opened) -> None:
        def progress(share: float) -> None:
            work.share = share
            if self._ends.is_set():
                raise _Ended

        try:
            work.found = Differences(compare(first, second, progress))
        except HistocerbError as error:
            work.problem = error
        except _Ended:
            pass
        except Exception as error:  # whoever waits must be told, whatever it is
            _LOG.exception("%s could not be compared", first.folder.name)
            work.problem = OutputError(
                f"{first.folder.name}: expected two results that can be compared, found "
                f"{type(error).__name__} ({error}); run histocerb segment again"
            )
        finally:
            work.done.set()


def _pairs(first: Cohort, second: Cohort) -> dict[str, str]:
    """Names in both results by the fingerprint of their slide."""
    theirs = _fingerprints(second)
    found = {name: theirs[mark] for mark, name in _fingerprints(first).items() if mark in theirs}
    if not found:
        raise UsageError(
            f"expected two results of the same slide, found no slide that both {first.root} and "
            f"{second.root} have; give --compare another result of these slides"
        )
    return found


def _fingerprints(cohort: Cohort) -> dict[str, str]:
    done = [state for state in cohort.states() if state.is_done and state.manifest]
    return {str(state.manifest.slide["fingerprint"]): state.name for state in done if state.manifest}
