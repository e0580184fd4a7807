import re
import time

import pytest

from histocerb.cli.console import Verbosity, table
from histocerb.cli.progress import _Pace, counted, duration, progress, slide_progress


def test_table_aligns_numbers_to_the_right():
    text = table(("kind", "found", "note"), [("nucleus", "1,200", ""), ("gland", "7", "small")])
    assert text.splitlines() == ["kind     found  note", "nucleus  1,200", "gland        7  small"]


def test_table_without_rows_is_its_header():
    assert table(("a", "b"), []) == "a  b"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61, "1:01"), (3725, "1:02:05")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("pause_s", "expected"), [(0, 4), (1000, 0)])
def test_log_lines_come_now_and_then(monkeypatch, caplog, pause_s, expected):
    monkeypatch.setattr("histocerb.cli.progress._SECONDS_BETWEEN_LINES", pause_s)
    with caplog.at_level("INFO", "histocerb"), progress("windows", 30, Verbosity(quiet=True)) as advance:
        for _ in range(4):
            advance(5)
    assert len(lines(caplog)) == expected
    wanted = [rf"{5 * n + 5} of 30 windows, \S+/s, \S+ left" for n in range(expected)]
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(wanted, lines(caplog), strict=True))


def test_stages_of_a_slide_are_logged(monkeypatch, caplog):
    monkeypatch.setattr("histocerb.cli.progress._SECONDS_BETWEEN_LINES", 0)
    with caplog.at_level("INFO", "histocerb"), slide_progress("a.svs", Verbosity(quiet=True)) as tell:
        tell("windows", 1, 4, 0.5)
        tell("objects", 2, 4, 0.5)
        tell("windows", 2, 4, 1.25)
    first, second, third = lines(caplog)
    assert (first, second) == ("a.svs: 1 of 4 windows, 0.5 mm2", "a.svs: 2 of 4 objects, 0.5 mm2")
    assert re.fullmatch(r"a\.svs: 2 of 4 windows, \S+/s, \S+ left, 1\.2 mm2", third)


def test_pace_counts_from_the_start():
    pace = _Pace("windows", 30, kept=5, start_s=time.monotonic() - 20)
    assert str(pace) == "5 of 30 windows"
    pace.done = 15
    assert str(pace) == "15 of 30 windows, 0.5/s, 0:30 left"
    assert str(_Pace("windows", None)) == "0 windows"


def test_bars_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(Verbosity, "bars", True)
    with slide_progress("a.svs", Verbosity()) as tell, progress("windows", None, Verbosity()) as advance:
        tell("windows", 1, 4, 0.5)
        tell("objects", 4, 4, 0.5)
        advance(3)
    assert capsys.readouterr().out == ""


def test_counted_gives_the_same_things():
    assert list(counted(iter("abc"), "letters", Verbosity(quiet=True))) == ["a", "b", "c"]
