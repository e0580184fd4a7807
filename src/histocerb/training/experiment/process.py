"""A run in a process of its own, which ends with the one that started it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from histocerb.training.experiment.ledger import LOG_FILE, State, Status, read_state, write_state

_POLL_S = 0.25
_STANDARD_INPUT = 0


def launch(folder: Path, device: str, stop: threading.Event) -> State:
    """Perform the run in `folder` in a new process; what it says goes to `log.txt`."""
    name, environment = _placed(device, dict(os.environ))
    command = [sys.executable, "-m", __name__, str(folder), name]
    with (
        (folder / LOG_FILE).open("ab") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment
        ) as process,
    ):
        while process.poll() is None:
            if stop.wait(_POLL_S):
                process.kill()
        code = process.wait()
    state = read_state(folder)
    if stop.is_set() or state.status in (Status.DONE, Status.FAILED):
        return state
    reason = f"its process ended with status {code}; {folder / LOG_FILE} may tell why"
    state = replace(state, status=Status.FAILED, reason=reason)
    write_state(folder, state)
    return state


def _placed(device: str, environment: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The device as the process names it, and the environment in which it sees only that one."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number:
        return device, environment
    visible = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
    chosen = visible[int(number)] if int(number) < len(visible) and visible[0] else number
    return kind, {**environment, "CUDA_VISIBLE_DEVICES": chosen}


def _end_with_parent() -> None:
    """Standard input ends when the parent does, however it does.

    It is read past `sys.stdin`, whose lock a waiting thread would hold when the interpreter ends: it aborts.
    """
    while os.read(_STANDARD_INPUT, 1):
        pass
    os._exit(1)


def main(folder: Path, device: str) -> int:
    """The new process; its exit status."""
    from histocerb.training.experiment.perform import perform
    from histocerb.training.experiment.work import REAL

    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S", stream=sys.stdout)
    logging.getLogger("histocerb").setLevel(logging.DEBUG)
    return 0 if perform(folder, device, REAL).status is Status.DONE else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
