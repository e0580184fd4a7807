"""An experiment from its file to its table: run, resume, look how far it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from histocerb.core.errors import OutputError, UsageError
from histocerb.training.experiment.ledger import (
    State,
    Status,
    is_done,
    read_state,
    run_folder,
    write_json,
)
from histocerb.training.experiment.plan import EXPERIMENT, Experiment, Job, jobs
from histocerb.training.experiment.queue import Launch, work_off
from histocerb.training.experiment.results import gather
from histocerb.training.experiment.table import comma_separated, document, markdown

log = logging.getLogger(__name__)

_LOCK = ".lock"


def run_experiment(
    experiment: Experiment, out: Path, devices: Sequence[str], launch: Launch, only: tuple[str, ...] = ()
) -> bool:
    """Do all runs of an experiment that are not done; interrupted and failed ones go on.

    Args:
        experiment: the table to fill, with the data of its store (`data.on_store`). Runs on earlier data are
            left as they are and not used.
        out: folder of the ledger; experiments that share it share runs of equal configuration.
        devices: one run at a time on each.
        launch: performs a run; see `queue`.
        only: names of rows; (): all.

    Returns:
        True when all are done, False when some failed.

    Raises:
        UsageError: a row that is not there, `out` is in use, or the store was not looked at.
        OutputError: `out` cannot be written to.
    """
    if not experiment.data:
        raise UsageError(
            f"expected the experiment {experiment.name} with the data of its store, found none; "
            "pass it through `on_store` first"
        )
    names = [row.name for row in experiment.rows if row.runs]
    for name in only:
        if name not in names:
            raise UsageError(
                f"expected one of the rows {', '.join(names)}, found {name!r}; choose one of them"
            )
    check_folder(out)
    try:
        with FileLock(out / _LOCK, timeout=0):
            _keep(experiment, out)
            return work_off(jobs(experiment, only), out, devices, launch)
    except Timeout as error:
        raise UsageError(
            f"another experiment is at work in {out}; wait for it or choose another --out"
        ) from error


def check_folder(out: Path) -> None:
    """Refuse a folder that no run can be kept in, before any work is done.

    Raises:
        OutputError: it cannot be written to.
    """
    try:
        for folder in (_experiments(out), out / "runs", out / "tables"):
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".probe"
            probe.touch()
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected to write into the folder {out}, found: {error.strerror}; choose another --out"
        ) from error


def read_experiments(out: Path) -> tuple[Experiment, ...]:
    """All experiments of an output folder, by name.

    Raises:
        OutputError: there is none, or one is damaged.
    """
    paths = sorted(_experiments(out).glob("*.json"))
    if not paths:
        raise OutputError(
            f"expected the folder of an experiment, found none in {out}; check --out of its run"
        )
    try:
        return tuple(EXPERIMENT.validate_json(path.read_bytes()) for path in paths)
    except ValueError as error:
        raise OutputError(
            f"{out} holds an experiment of another version or a damaged one; run it again"
        ) from error


def states(experiment: Experiment, out: Path) -> dict[str, State]:
    """How far each run of an experiment is, by name."""
    busy = _is_busy(out)
    return {job.name: _state(job, out, busy=busy) for job in jobs(experiment)}


def write_table(experiment: Experiment, out: Path) -> str:
    """Write `tables/NAME.md`, `.csv` and `.json` from what there is; returns the Markdown.

    Raises:
        OutputError: they cannot be written, or an evaluation is damaged.
    """
    check_folder(out)
    lines, found = gather(experiment, out), states(experiment, out)
    text = markdown(experiment, lines, found)
    folder = out / "tables"
    write_json(folder / f"{experiment.name}.json", document(experiment, lines, found))
    (folder / f"{experiment.name}.csv").write_text(comma_separated(experiment, lines), encoding="utf-8")
    (folder / f"{experiment.name}.md").write_text(text, encoding="utf-8")
    return text


def _experiments(out: Path) -> Path:
    return out / "experiments"


def _keep(experiment: Experiment, out: Path) -> None:
    """Write the experiment for `status` and `table`; say so when its data are others than before."""
    path = _experiments(out) / f"{experiment.name}.json"
    with suppress(OSError, ValueError):
        before = EXPERIMENT.validate_json(path.read_bytes())
        if before.data != experiment.data:
            log.warning(
                "the data of %s have changed since %s was last run in %s: runs on the earlier data are not "
                "used, and what depends on it is done again",
                experiment.store,
                experiment.name,
                out,
            )
    write_json(path, EXPERIMENT.dump_python(experiment, mode="json"))


def _state(job: Job, out: Path, *, busy: bool) -> State:
    folder = run_folder(out, job.name)
    state = read_state(folder)
    if state.status is Status.RUNNING and not busy:
        return replace(state, status=Status.INTERRUPTED)
    if state.status is Status.DONE and not is_done(folder, job):
        return replace(state, status=Status.WAITING, reason="trained, to be evaluated on other samples")
    return state


def _is_busy(out: Path) -> bool:
    """Whether an experiment is at work in the folder, or may be: who may not write there cannot tell."""
    if not (out / _LOCK).exists():
        return False
    try:
        with FileLock(out / _LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True
