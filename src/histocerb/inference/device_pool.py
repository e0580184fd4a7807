"""One process per device, each with the network; windows go to whichever is free.

The parent keeps slide, ledger and results. A child gets an image and gives maps, so that a child that is
killed costs the window it had: it is started again, and that window is computed anew. So is a child whose
answer nobody took, because it would be taken for the answer to the next question.
"""

from __future__ import annotations

import logging
import multiprocessing
import queue
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import HistocerbError
from histocerb.inference.protocol import HeadMaps, Predictor

_LOG = logging.getLogger(__name__)

_STARTS = 3
"""Times that a child is started for one window, before the device is to blame."""

Load = Callable[[], Predictor]
"""Makes the predictor of a device; picklable."""

_Question = tuple[str, npt.NDArray[np.uint8], int]


class _LostError(HistocerbError):
    """A process is gone that should have answered."""


@dataclass
class _Child:
    """A process and our end of the line to it.

    Attributes:
        device: what it computes with, in words; "" until it has said so.
        owes: an answer, or a part of one, was not taken: the line can never be used again.
    """

    load: Load
    process: BaseProcess
    line: Connection
    device: str = ""
    owes: bool = False

    def greet(self) -> None:
        """Wait until the process is ready; raises what hinders it, or `_LostError`."""
        if self.device:
            return
        try:
            self.device = str(self.answer(None))
        except _LostError as error:
            raise _LostError(
                "expected a process per device to load the model, found that one ended before it had: it was "
                "killed, for instance by the system for want of memory, or the script that started it has no "
                '`if __name__ == "__main__":`; free memory, or put what the script does below that line'
            ) from error

    def answer(self, question: _Question | None) -> Any:
        """What the process says to a question, or by itself; raises what it raised, or `_LostError`."""
        self.owes = True
        try:
            if question is not None:
                self.line.send(question)
            is_well, answer = self.line.recv()
        except TimeoutError:  # of a signal, never of a line: it is for the caller
            raise
        except (EOFError, OSError) as error:
            raise _LostError from error
        self.owes = False
        if not is_well:
            raise answer
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        with suppress(OSError):
            self.line.close()
        self.process.terminate()
        self.process.join()


class DevicePool:
    """A predictor for as many threads as it has processes; these end with it, or with this process."""

    def __init__(self, loads: Sequence[Load]) -> None:
        """Start a process for each way of making a predictor.

        Raises:
            HistocerbError: A process ended while it loaded, or what it raised.
        """
        self._children = [_start(load) for load in loads]
        self._free: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        with ExitStack() as at_failure:
            at_failure.callback(self.close)
            for child in self._children:
                child.greet()
                self._free.put(child)
            at_failure.pop_all()
        self.device = " + ".join(child.device for child in self._children)

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes."""
        return [child.process.pid or 0 for child in self._children]

    def predict(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """Final maps of one window; see `Predictor.predict`."""
        return self._asked("predict", image, margin_px)

    def probabilities(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """Probabilities of every channel; see `Predictor.probabilities`."""
        return self._asked("probabilities", image, margin_px)

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.end()

    def _asked(self, what: str, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        child = self._free.get()
        try:
            for _ in range(_STARTS):
                if child.owes:
                    _restart(child)
                try:
                    child.greet()
                    maps: HeadMaps = child.answer((what, image, margin_px))
                    return maps
                except _LostError:
                    _LOG.warning("the process of %s was lost; it is started again", child.device)
        finally:
            if child.owes:
                child.process.terminate()  # nobody waits for what it computes
            self._free.put(child)
        raise HistocerbError(
            f"expected a process per device to stay alive, found that one of {self.device} was killed "
            f"{_STARTS} times at one window; look for what kills it (memory?) and run the command again"
        )


def _start(load: Load) -> _Child:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(load, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Child(load, process, ours)


def _restart(child: _Child) -> None:
    child.end()
    fresh = _start(child.load)
    child.process, child.line, child.device, child.owes = fresh.process, fresh.line, "", False


def _serve(load: Load, line: Connection) -> None:
    """The life of a child: its device in words, then maps for images, until the parent is gone."""
    with suppress(EOFError, OSError, KeyboardInterrupt):
        try:
            predictor = load()
        except Exception as error:
            line.send((False, error))
            return
        line.send((True, predictor.device))
        while True:
            what, image, margin_px = line.recv()
            ask = predictor.predict if what == "predict" else predictor.probabilities
            try:
                line.send((True, ask(image, margin_px)))
            except (HistocerbError, RuntimeError) as error:
                line.send((False, error))
