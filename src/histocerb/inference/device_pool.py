"""One process per device, each with the network; windows go to whichever is free.

The parent keeps slide, ledger and results. A child gets an image and gives maps, so that a child that is
killed costs the window it had: it is started again, and that window is computed anew.
"""

from __future__ import annotations

import logging
import multiprocessing
import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
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


@dataclass
class _Child:
    """A process, its end of the line, and what it computes with, in words; "" until it has said so."""

    load: Load
    process: BaseProcess
    line: Connection
    device: str = ""

    def greet(self) -> None:
        """Wait until the process is ready; raises what hinders it."""
        if not self.device:
            self.device = str(self.answer())

    def answer(self) -> Any:
        """What the process says; raises what it raised."""
        is_well, answer = self.line.recv()
        if not is_well:
            raise answer
        return answer


class DevicePool:
    """A predictor for as many threads as it has processes; these end with it, or with this process."""

    def __init__(self, loads: Sequence[Load]) -> None:
        """Start a process for each way of making a predictor."""
        self._children = [_start(load) for load in loads]
        self._free: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        for child in self._children:
            child.greet()
            self._free.put(child)
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
            with suppress(OSError):
                child.line.close()
            child.process.join()

    def _asked(self, what: str, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        child = self._free.get()
        try:
            for _ in range(_STARTS):
                try:
                    child.greet()
                    child.line.send((what, image, margin_px))
                    maps: HeadMaps = child.answer()
                    return maps
                except (EOFError, OSError):
                    _LOG.warning("the process of %s was lost; it is started again", child.device)
                    _restart(child)
        finally:
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
    child.line.close()
    child.process.join()
    fresh = _start(child.load)
    child.process, child.line, child.device = fresh.process, fresh.line, ""


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
