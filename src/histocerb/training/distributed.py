"""Several processes that train one network on shares of each batch, as one process would on the whole."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

import torch
from torch import Tensor, distributed

from histocerb.core.errors import HistocerbError

log = logging.getLogger(__name__)

_PLACE = ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
_GRACE_S = 10.0
"""How long this process may take to notice that another one has failed."""
_EXIT_S = 1.0
"""How long a process takes to end after its connections."""


@dataclass(frozen=True)
class Team:
    """Who shares the batches: this process is number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True for the process that writes files."""
        return self.rank == 0


ALONE = Team()
"""One process that has every batch for itself."""


@contextmanager
def team_of(size: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Team]:
    """Be rank 0 of `size` processes; the others run `work(team, *arguments)`.

    Lightning finds its place in the environment and connects them. Whatever ends one of them ends all; where
    this process waits for one that has failed, and so cannot raise an error, it ends with status 1.

    Args:
        size: 1 starts nothing.
        work: can be pickled, as its arguments can.
        arguments: of `work`.

    Raises:
        HistocerbError: another process failed.
    """
    if size == 1:
        yield ALONE
        return
    context = multiprocessing.get_context("spawn")
    port = _free_port()
    pipes = [context.Pipe(duplex=False) for _ in range(1, size)]
    complaints = [reader for reader, _ in pipes]
    others = [
        context.Process(target=_join, args=(Team(rank, size), port, writer, work, arguments), daemon=True)
        for rank, (_, writer) in enumerate(pipes, start=1)
    ]
    before, over = {name: os.environ.get(name) for name in _PLACE}, threading.Event()
    try:
        for process in others:
            process.start()
        threading.Thread(target=_watch, args=(others, complaints, over), daemon=True).start()
        _take_place(0, port)
        yield Team(0, size)
    except Exception as error:
        if isinstance(error, HistocerbError):
            raise
        _still_running(others, _EXIT_S)
        if not any(process.exitcode for process in others):
            raise
        raise HistocerbError(_failure(complaints)) from error
    finally:
        over.set()
        _leave(others)
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def _join(
    team: Team, port: int, complaint: Any, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    _take_place(team.rank, port)
    try:
        work(team, *arguments)
    except BaseException as error:
        complaint.send(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None
    finally:
        _disconnect()


def _watch(others: Sequence[Any], complaints: Sequence[Any], over: threading.Event) -> None:
    """End this process when another one has failed and this one does not notice.

    Until they are connected, and on GPUs, it waits for the others in a library that nothing interrupts.
    """
    running = others
    while running:
        running = _still_running(running)
        if any(process.exitcode for process in others) and not over.wait(_GRACE_S):
            log.critical(_failure(complaints))
            for process in multiprocessing.active_children():
                process.kill()
            os._exit(1)


def _still_running(processes: Sequence[Any], timeout_s: float | None = None) -> list[Any]:
    """Those that have not ended, as soon as one has or the time is over."""
    ended = connection.wait([process.sentinel for process in processes], timeout_s)
    for process in processes:
        if process.sentinel in ended:
            process.join()  # its end of the pipe is closed a moment before it has an exit status
    return [process for process in processes if process.sentinel not in ended]


def _failure(complaints: Sequence[Any]) -> str:
    """What another process failed of, in a sentence."""
    said = [pipe.recv() for pipe in complaints if pipe.poll()]
    if said:
        return f"a training process failed: {said[0]}"
    return (
        "expected all training processes to go on, found one ended from outside, as the system does where "
        "memory runs out; run the same command again, or with fewer devices"
    )


def _take_place(rank: int, port: int) -> None:
    values = (str(rank), "0", "127.0.0.1", str(port))
    os.environ.update(dict(zip(_PLACE, values, strict=True)))


def _leave(others: Sequence[Any]) -> None:
    _disconnect()
    for process in others:
        process.join(timeout=10)
        if process.is_alive():
            process.terminate()
            process.join()


def _disconnect() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def gathered(own: Tensor, counts: Sequence[int], rank: int) -> Tensor:
    """The rows of all processes in their order; those of others are constants.

    Args:
        own: `counts[rank]` x ...
        counts: rows of each process.
        rank: of this one.
    """
    padded = own.new_zeros(max(counts), *own.shape[1:])
    padded[: len(own)] = own.detach()
    rows = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(rows, padded)
    parts = [part[:count] for part, count in zip(rows, counts, strict=True)]
    return torch.cat([own if place == rank else part for place, part in enumerate(parts)])
