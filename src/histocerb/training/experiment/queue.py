"""Which run goes to which device, and when: one at a time per device, none before the one it starts from."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from histocerb.training.experiment.ledger import (
    State,
    Status,
    is_done,
    read_state,
    run_folder,
    write_job,
    write_state,
)
from histocerb.training.experiment.plan import Job

log = logging.getLogger(__name__)

Launch = Callable[[Path, str, threading.Event], State]
"""(run folder, device, stop): performs the run, returns how it ended; gives up soon after `stop` is set."""


class Queue:
    """The jobs of an experiment while several devices work on them."""

    def __init__(self, jobs: Sequence[Job], out: Path) -> None:
        """Take the jobs that are not done; `out` is the folder of the ledger."""
        self._out = out
        self._waiting = [job for job in jobs if not is_done(run_folder(out, job.name), job)]
        self._unfinished = {job.name for job in self._waiting}
        self._failed: set[str] = set()
        self._change = threading.Condition()
        self.stop = threading.Event()

    @property
    def failed(self) -> bool:
        """Whether a job has failed."""
        return bool(self._failed)

    def take(self) -> Job | None:
        """The next job that can begin, as soon as there is one; None when there will be none."""
        with self._change:
            self._drop_hopeless()
            while not self.stop.is_set() and self._waiting:
                ready = next((job for job in self._waiting if job.after not in self._unfinished), None)
                if ready is not None:
                    self._waiting.remove(ready)
                    return ready
                self._change.wait()
                self._drop_hopeless()
            return None

    def finish(self, job: Job, state: State) -> None:
        """A device is done with a job."""
        with self._change:
            self._unfinished.discard(job.name)
            if state.status is not Status.DONE:
                self._failed.add(job.name)
            self._change.notify_all()

    def give_up(self) -> None:
        """Begin nothing more; runs that are under way are stopped."""
        self.stop.set()
        with self._change:
            self._change.notify_all()

    def _drop_hopeless(self) -> None:
        """Jobs after one that has failed fail too, and those after them: none waits before its own."""
        for job in tuple(self._waiting):
            if job.after not in self._failed:
                continue
            reason = f"it starts from {job.after}, which failed"
            folder = run_folder(self._out, job.name)
            write_state(folder, State(Status.FAILED, reason, trained=read_state(folder).trained))
            self._waiting.remove(job)
            self._unfinished.discard(job.name)
            self._failed.add(job.name)


def work_off(jobs: Sequence[Job], out: Path, devices: Sequence[str], launch: Launch) -> bool:
    """Perform all jobs that are not done, one per device at a time.

    Returns:
        True when all are done, False when some failed. An interruption stops all runs and is raised again.
    """
    queue = Queue(jobs, out)
    threads = [
        threading.Thread(target=_serve, args=(queue, out, device, launch), name=device, daemon=True)
        for device in devices
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(timeout=0.5)
    except BaseException:
        queue.give_up()
        for thread in threads:
            thread.join(timeout=10)
        raise
    if queue.stop.is_set():
        raise KeyboardInterrupt
    return not queue.failed


def _serve(queue: Queue, out: Path, device: str, launch: Launch) -> None:
    while (job := queue.take()) is not None:
        folder = run_folder(out, job.name)
        log.info("%s begins on %s", job.name, device)
        try:
            write_job(folder, job)
            state = launch(folder, device, queue.stop)
        except Exception as error:
            state = State(Status.FAILED, f"it could not be started: {error}", device)
            with suppress(OSError):
                write_state(folder, state)
        except BaseException:
            queue.give_up()
        if queue.stop.is_set():
            return
        log.info("%s is %s%s", job.name, state.status, f": {state.reason}" if state.reason else "")
        queue.finish(job, state)
