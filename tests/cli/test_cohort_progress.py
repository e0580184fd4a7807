import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from histocerb.cli.cohort_progress import CohortPace, cohort_progress
from histocerb.cli.console import Verbosity
from histocerb.inference.cohort.run import Outcome
from histocerb.inference.cohort.slides import CohortSlide

DONE, SKIPPED = SimpleNamespace(skipped=False), SimpleNamespace(skipped=True)
SLIDES = [
    CohortSlide(Path(f"{name}.svs"), name, file_bytes=size)
    for name, size in zip("abcd", (40, 30, 20, 10), strict=True)
]


def outcome(slide, result=None, **options):
    return Outcome(slide, 1.0, result, **options)


def test_pace_goes_by_the_bytes_of_slides_that_took_time():
    pace = CohortPace(4, 100, start_s=time.monotonic() - 20)
    assert str(pace) == "0 of 4 slides done, 0 failed, 4 left"
    pace.begin(40)
    pace.tell("windows", 0, 8, 1.0)
    pace.tell("windows", 2, 8, 3.0)
    assert str(pace) == "0 of 4 slides done, 0 failed, 4 left, 0.1 mm2/s, 3:00 left"
    pace.tell("objects", 1, 2, 5.0)
    pace.end(outcome(SLIDES[0], DONE))
    assert str(pace) == "1 of 4 slides done, 0 failed, 3 left, 0.2 mm2/s, 0:30 left"
    pace.begin(30)
    pace.end(outcome(SLIDES[1], SKIPPED))
    assert str(pace) == "2 of 4 slides done, 0 failed, 2 left, 0.2 mm2/s, 0:15 left"
    pace.begin(20)
    pace.end(outcome(SLIDES[2], reason="no"))
    pace.begin(10)
    pace.end(outcome(SLIDES[3], in_work=True))
    assert str(pace) == "2 of 4 slides done, 1 failed, 1 in work elsewhere, 0 left, 0.2 mm2/s"


def run(watch, slides):
    for slide in slides:
        tell = watch.begin(slide)
        tell("windows", 1, 2, 0.5)
        tell("objects", 2, 2, 0.5)
        watch.end(outcome(slide, DONE))


@pytest.mark.parametrize(("count", "lines"), [(1, 0), (3, 3)])
def test_a_line_per_slide_when_there_are_many(caplog, count, lines):
    with (
        caplog.at_level("INFO", "histocerb"),
        cohort_progress(SLIDES[:count], Verbosity(quiet=True)) as watch,
    ):
        run(watch, SLIDES[:count])
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == lines
    for number, line in enumerate(found):
        assert re.match(rf"{number + 1} of 3 slides done, 0 failed, {2 - number} left", line)


def test_bars_over_all_and_of_the_current_slide(monkeypatch, capsys):
    monkeypatch.setattr(Verbosity, "bars", True)
    with cohort_progress(SLIDES, Verbosity()) as watch:
        tell = watch.begin(SLIDES[0])
        tell("windows", 1, 2, 0.5)
        tell("objects", 1, 2, 0.5)
        assert [task.description.split(",")[0] for task in watch._bars.tasks] == [
            "0 of 4 slides done",
            "a.svs: 1 of 2 windows",
            "a.svs: 1 of 2 objects",
        ]
        watch.end(outcome(SLIDES[0], DONE))
        (task,) = watch._bars.tasks
        assert (task.completed, task.total, task.visible) == (1, 4, True)
    with cohort_progress(SLIDES[:1], Verbosity()) as watch:
        run(watch, SLIDES[:1])
        assert not watch._bars.tasks[0].visible
    assert capsys.readouterr().out == ""
