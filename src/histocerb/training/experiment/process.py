"""A run in a process of its own, which ends with the one that started it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from histocerb.core.errors import UsageError
from histocerb.training.experiment.ledger import LOG_FILE, State, Status, read_state, write_state

_POLL_S = 0.25
_STANDARD_INPUT = 0
_VISIBLE = "CUDA_VISIBLE_DEVICES"


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


def check_devices(devices: Sequence[str]) -> None:
    """Refuse devices on which runs would meet, or that this process was not given.

    Args:
        devices: cpu, cuda or cuda:N.

    Raises:
        UsageError: naming the device.
    """
    taken = set()
    for device in devices:
        kind, _, number = device.partition(":")
        place = (kind, int(number or 0))
        if place in taken:
            raise UsageError(f"expected each device once, found {device!r} twice; change --devices")
        taken.add(place)
        if kind == "cuda":
            _gpu(place[1], os.environ)


def _placed(device: str, environment: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The device as the process names it, and the environment in which it sees only that one."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number:
        return device, environment
    return kind, {**environment, _VISIBLE: _gpu(int(number), environment)}


def _gpu(number: int, environment: Mapping[str, str]) -> str:
    """What CUDA calls the GPU that has that number here; it reads the list up to an empty or negative name.

    Raises:
        UsageError: the environment does not give so many.
    """
    if _VISIBLE not in environment:
        return str(number)
    names = (name.strip() for name in environment[_VISIBLE].split(","))
    given = list(takewhile(lambda name: name and not name.startswith("-"), names))
    if number >= len(given):
        raise UsageError(
            f"expected one of the {len(given)} GPUs that {_VISIBLE} gives ({environment[_VISIBLE]}), found "
            f"'cuda:{number}'; change --devices"
        )
    return given[number]


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
