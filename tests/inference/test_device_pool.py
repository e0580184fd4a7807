import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from histocerb.core.errors import HistocerbError, UsageError
from histocerb.inference.device_pool import DevicePool
from histocerb.inference.slide import segment_slide
from histocerb.slides.reader import open_slide

PATHS = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]


def stand_in(cause="", paths=PATHS):
    """Made in a child; may fail there."""
    import sys

    sys.path[:0] = paths
    from benchmarks.stand_in import StandInPredictor
    from histocerb.core.tasks import CERBERUS

    if cause == "load":
        raise UsageError("no such device")
    if cause == "file":
        raise FileNotFoundError("no such model")
    if cause == "end":
        os._exit(139)
    predictor = StandInPredictor(CERBERUS)
    if cause == "predict":
        predictor.predict = lambda image, margin_px: (_ for _ in ()).throw(HistocerbError("no room"))
    elif cause == "die":
        predictor.predict = lambda image, margin_px: os.kill(os.getpid(), signal.SIGKILL)
    elif cause == "interrupt":
        predictor.predict = interrupting(predictor.predict)
    return predictor


def interrupting(predict):
    """Black images interrupt who asks, while the answer is awaited."""

    def slowly(image, margin_px):
        if not image.any():
            os.kill(os.getppid(), signal.SIGUSR1)
            time.sleep(0.2)
        return predict(image, margin_px)

    return slowly


@pytest.fixture
def importable(monkeypatch):
    """Children find this module by its name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_device_pool

    return test_device_pool.stand_in


def test_two_processes_give_the_same_bytes(importable, model, make_image, tmp_path, caplog):
    slide = open_slide(make_image(1300, 1200, 4), mpp=0.5)
    plain = segment_slide(slide, model, tmp_path / "plain")
    pool = DevicePool([importable, importable])
    try:
        first, second = pool.pids
        assert len({first, second, os.getpid()}) == 3
        both = replace(model, predictor=pool, parallel=2)
        again = segment_slide(slide, both, tmp_path / "both")
        os.kill(first, signal.SIGKILL)
        third = segment_slide(slide, both, tmp_path / "killed")
        assert second in pool.pids
        assert first not in pool.pids
    finally:
        pool.close()
    assert "is started again" in caplog.text
    for name in ("objects.parquet", "tissue.parquet"):
        expected = (plain.folder / name).read_bytes()
        assert (again.folder / name).read_bytes() == expected
        assert (third.folder / name).read_bytes() == expected


def test_errors_of_a_child_are_raised(importable):
    with pytest.raises(UsageError, match="no such device"):
        DevicePool([partial(importable, "load")])
    pool = DevicePool([partial(importable, "predict"), partial(importable, "die")])
    image = np.full((448, 448, 3), 255, np.uint8)
    try:
        with ThreadPoolExecutor(2) as threads:
            asked = [threads.submit(pool.predict, image, 152) for _ in range(2)]
            sentences = sorted(str(future.exception()) for future in asked)
        assert sentences[1] == "no room"
        assert "was killed 3 times" in sentences[0]
    finally:
        pool.close()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, TimeoutError])
def test_an_answer_that_nobody_took_is_not_that_of_the_next_question(importable, interruption):
    def interrupt(*_):
        raise interruption

    black, white = (np.full((448, 448, 3), value, np.uint8) for value in (0, 255))
    before = signal.signal(signal.SIGUSR1, interrupt)
    pool = DevicePool([partial(importable, "interrupt")])
    try:
        first = pool.pids
        expected = pool.predict(white, 152)
        for _ in range(2):
            with pytest.raises(interruption):
                pool.predict(black, 152)
            for name, found in pool.predict(white, 152).items():
                np.testing.assert_array_equal(found, expected[name])
        assert pool.pids != first
    finally:
        pool.close()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "cause, error, sentence",
    [
        ("end", HistocerbError, "(?s)want of memory.*__main__"),
        ("file", FileNotFoundError, "no such model"),
    ],
)
def test_no_process_is_left_where_one_cannot_load(importable, cause, error, sentence):
    before = set(multiprocessing.active_children())
    with pytest.raises(error, match=sentence):
        DevicePool([importable, partial(importable, cause)])
    assert set(multiprocessing.active_children()) <= before
