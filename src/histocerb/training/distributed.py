"""Several processes that train one network on shares of each batch, as one process would on the whole."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from histocerb.core.errors import HistocerbError

_PLACE = ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")


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

    Lightning finds its place in the environment and connects them. Whatever ends one of them ends all.

    Args:
        size: 1 starts nothing.
        work: can be pickled, as its arguments can.
        arguments: of `work`.
    """
    if size == 1:
        yield ALONE
        return
    context = multiprocessing.get_context("spawn")
    complaints: Any = context.SimpleQueue()
    port = _free_port()
    others = [
        context.Process(target=_join, args=(Team(rank, size), port, complaints, work, arguments), daemon=True)
        for rank in range(1, size)
    ]
    before = {name: os.environ.get(name) for name in _PLACE}
    try:
        for process in others:
            process.start()
        _take_place(0, port)
        yield Team(0, size)
    except Exception as error:
        if isinstance(error, HistocerbError) or complaints.empty():
            raise
        raise HistocerbError(f"a training process failed: {complaints.get()}") from error
    finally:
        _leave(others)
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def _join(
    team: Team, port: int, complaints: Any, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    _take_place(team.rank, port)
    try:
        work(team, *arguments)
    except BaseException as error:
        complaints.put(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None
    finally:
        _disconnect()


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
