"""A stand-in for a network that nodes of a cluster can load, takes its time and notes every window."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from hard_slide import WINDOW_PX

from benchmarks.stand_in import StandInPredictor
from histocerb.core import geometry
from histocerb.core.tasks import CERBERUS
from histocerb.inference import spill
from histocerb.inference.manifest import RunningModel

SHA256 = "0" * 64


@dataclass(frozen=True)
class StandIn:
    """Loads the model.

    Attributes:
        sha256: of its weights.
        slow_s: seconds that a window takes.
        log: file with a line per window; "" for none.
        on_a_node: in a process of its own, where windows are not small yet.
    """

    sha256: str = SHA256
    slow_s: float = 0.0
    log: str = ""
    on_a_node: bool = True

    def __call__(self) -> RunningModel:
        if self.on_a_node:
            geometry.WINDOW_OUTPUT_PX = spill.WINDOW_OUTPUT_PX = WINDOW_PX
        return RunningModel("stand-in", self.sha256, CERBERUS, SlowStandIn(self.slow_s, self.log))


class SlowStandIn:
    """See `StandInPredictor`."""

    device = "stand-in"

    def __init__(self, slow_s: float, log: str) -> None:
        self._predictor, self._slow_s, self._log = StandInPredictor(CERBERUS), slow_s, log

    def predict(self, image, margin_px):
        if self._log:
            with Path(self._log).open("a") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(self._slow_s)
        return self._predictor.predict(image, margin_px)

    def probabilities(self, image, margin_px):
        return self._predictor.probabilities(image, margin_px)
