import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from histocerb.core.errors import HistocerbError
from histocerb.inference.backoff import Backoff

IMAGE = np.zeros((2, 2, 3), np.uint8)


class SmallDevice:
    """Has room for some windows at a time."""

    device = "small"

    def __init__(self, room):
        self.room, self.busy, self.most, self.done = room, 0, 0, 0
        self.lock = threading.Lock()

    def predict(self, image, margin_px):
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        time.sleep(0.01)
        with self.lock:
            full = self.busy > self.room
            self.busy -= 1
            if full:
                raise torch.OutOfMemoryError("CUDA out of memory")
            self.done += 1
            return {"image": image + margin_px}

    probabilities = predict


@pytest.mark.parametrize("room", [1, 3, 8])
def test_fewer_at_a_time_until_memory_suffices(room, caplog):
    device = SmallDevice(room)
    predictor = Backoff(device, 8)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda k: predictor.predict(IMAGE, k), range(40)))
    assert [int(maps["image"].max()) for maps in found] == list(range(40))
    assert device.done == 40
    assert room // 2 < predictor.limit <= max(room, 1) or predictor.limit == 8 == room
    assert ("windows at a time now" in caplog.text) == (predictor.limit < 8)


def test_no_room_for_one_window_is_one_sentence():
    predictor = Backoff(SmallDevice(0), 4)
    with pytest.raises(HistocerbError, match="room for one window on small"):
        predictor.probabilities(IMAGE, 0)
    assert predictor.limit == 1
