"""How far each run came: one folder per run, with a file of its state that is written whole or not at all.

DIR/experiments/<name>.json          the experiment, resolved
DIR/runs/<run>/job.json              what the run is
DIR/runs/<run>/state.json            waiting (no file), running, done, or failed with the reason
DIR/runs/<run>/log.txt               what its process said
DIR/runs/<run>/train/                see `fit`
DIR/runs/<run>/evaluation/<split>.<data>.json
DIR/tables/<name>.md, .csv, .json
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from histocerb.core.errors import OutputError
from histocerb.training.experiment.plan import JOB, Job

STATE_FILE = "state.json"
JOB_FILE = "job.json"
LOG_FILE = "log.txt"


class Status(StrEnum):
    """How far a run came."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Said of a run whose file says running though nobody works on it."""


@dataclass(frozen=True)
class State:
    """Content of `state.json`.

    Attributes:
        status: see `Status`.
        reason: why it failed, in one sentence.
        device: that it was put on.
        process: number of the process that works or worked on it.
        seconds: of the last attempt.
        trained: whether the training is complete; what is left is to evaluate.
    """

    status: Status = Status.WAITING
    reason: str = ""
    device: str = ""
    process: int = 0
    seconds: float = 0.0
    trained: bool = False


def run_folder(out: Path, name: str) -> Path:
    """Where the run of that name is kept."""
    return out / "runs" / name


def model_folder(out: Path, name: str) -> Path:
    """The checkpoint of the run of that name."""
    return run_folder(out, name) / "train" / "model"


def document_file(folder: Path, job: Job, split: str) -> Path:
    """The evaluation of a run on what the split of that name holds; on other data it is another file."""
    return folder / "evaluation" / f"{split}.{job.data[split][:8]}.json"


def read_state(folder: Path) -> State:
    """How far the run in a folder came.

    Raises:
        OutputError: its file is damaged.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return State()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return State(**{**content, "status": Status(content["status"])})
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"expected the state of a run, found something else in {path}; remove it"
        ) from error


def write_state(folder: Path, state: State) -> None:
    """Keep how far a run came."""
    write_json(folder / STATE_FILE, asdict(state))


def is_done(folder: Path, job: Job) -> bool:
    """Whether the run was trained, and evaluated on all that the job asks for."""
    documents = (document_file(folder, job, split) for split in job.splits.values())
    return read_state(folder).status is Status.DONE and all(path.is_file() for path in documents)


def write_job(folder: Path, job: Job) -> None:
    """Keep what a run is."""
    write_json(folder / JOB_FILE, JOB.dump_python(job, mode="json"))


def read_job(folder: Path) -> Job:
    """What the run in a folder is."""
    return JOB.validate_json((folder / JOB_FILE).read_bytes())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
