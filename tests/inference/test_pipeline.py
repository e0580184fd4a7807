import threading
import time

import numpy as np
import pytest

from histocerb.core.geometry import WindowGrid
from histocerb.inference.pipeline import Stages, WorkSettings, run_windows

WINDOWS = list(WindowGrid.of(5000, 4000))


class Recorder:
    """Stages that write down what they did; one of them may fail at one window."""

    def __init__(self, fails_in="", at=None):
        self.fails_in, self.at = fails_in, at
        self.done = {name: [] for name in ("read", "predict", "store", "settle")}
        self.most_waiting = 0

    def note(self, stage, item):
        if stage == self.fails_in and len(self.done[stage]) == self.at:
            raise ArithmeticError(stage)
        self.done[stage].append(item)
        self.most_waiting = max(self.most_waiting, len(self.done["read"]) - len(self.done["store"]))

    def stages(self):
        def read(window):
            self.note("read", window)
            return np.full((1, 1, 3), window.row * 10 + window.column, np.uint8)

        def predict(image):
            self.note("predict", int(image[0, 0, 0]))
            return {"image": image}

        def store(window, maps):
            time.sleep(0.002)
            assert maps["image"][0, 0, 0] == window.row * 10 + window.column
            self.note("store", window)
            return [window.output]

        return Stages(read, predict, store, lambda tile: self.note("settle", tile))


def test_every_window_goes_through_every_stage_in_order():
    recorder = Recorder()
    run_windows(WINDOWS, [WINDOWS[3].input], recorder.stages(), WorkSettings(readers=3, queue=2))
    assert recorder.done["predict"] == [w.row * 10 + w.column for w in WINDOWS]
    assert recorder.done["store"] == WINDOWS
    assert recorder.done["settle"] == [WINDOWS[3].input, *[w.output for w in WINDOWS]]


def test_waiting_windows_are_bounded():
    recorder = Recorder()
    run_windows(WINDOWS, [], recorder.stages(), WorkSettings(readers=2, queue=1))
    assert recorder.most_waiting <= 2 + 1 + 2 + 1


@pytest.mark.parametrize("stage", ["read", "predict", "store", "settle"])
@pytest.mark.parametrize("at", [0, 5, len(WINDOWS) - 1])
def test_first_error_of_any_stage_is_raised_and_all_threads_end(stage, at):
    recorder = Recorder(stage, at)
    with pytest.raises(ArithmeticError, match=stage):
        run_windows(WINDOWS, [], recorder.stages(), WorkSettings())
    assert not [t for t in threading.enumerate() if t.name.startswith("histocerb")]


def test_what_the_network_has_done_is_stored_when_it_fails():
    recorder = Recorder("predict", 6)
    with pytest.raises(ArithmeticError):
        run_windows(WINDOWS, [], recorder.stages(), WorkSettings())
    assert recorder.done["store"] == WINDOWS[:6]
