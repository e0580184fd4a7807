"""One run from beginning to end: train, then evaluate on every split that is asked for."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from histocerb.core.errors import HistocerbError
from histocerb.training.experiment.ledger import (
    State,
    Status,
    document_file,
    model_folder,
    read_job,
    read_state,
    write_json,
    write_state,
)
from histocerb.training.experiment.plan import Job

log = logging.getLogger(__name__)

Train = Callable[[Job, Path, str], object]
"""(job, folder, device): trains, going on where an earlier call was interrupted."""

Evaluate = Callable[[Path, Job, str, str], dict[str, Any]]
"""(checkpoint folder, job, split, device): the evaluation document."""


@dataclass(frozen=True)
class Work:
    """What a run does; tests put something quicker in its place."""

    train: Train
    evaluate: Evaluate


def perform(folder: Path, device: str, work: Work) -> State:
    """Do what `job.json` in a run's folder says, as far as it is not done.

    Returns:
        How it ended, as the ledger has it: done or failed. Only an interruption is raised.
    """
    before, begin = read_state(folder), time.monotonic()
    state = State(Status.RUNNING, device=device, process=os.getpid(), trained=before.trained)
    write_state(folder, state)
    try:
        job, model = read_job(folder), model_folder(folder.parents[1], folder.name)
        if not state.trained:
            work.train(_complete(folder, job), model.parent, device)
            state = replace(state, trained=True)
            write_state(folder, state)
        for split in job.splits.values():
            file = document_file(folder, job, split)
            if not file.is_file():
                write_json(file, work.evaluate(model, job, split, device))
        state = replace(state, status=Status.DONE)
    except Exception as error:
        log.debug("%s failed", folder.name, exc_info=True)
        state = replace(state, status=Status.FAILED, reason=_sentence(error))
    state = replace(state, seconds=round(time.monotonic() - begin, 1))
    write_state(folder, state)
    return state


def _complete(folder: Path, job: Job) -> Job:
    """The job, its configuration with the checkpoint that the run begins with."""
    if job.after is None:
        return job
    start_from = str(model_folder(folder.parents[1], job.after))
    return replace(job, config=replace(job.config, start_from=start_from))


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, HistocerbError) else f"{type(error).__name__}: {text}"
