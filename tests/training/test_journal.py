from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from histocerb.core.errors import OutputError
from histocerb.training.journal import Journal, Row


def _journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.csv", (10, 6))
    journal.write(1, 5, {"loss/a": 0.5, "lr": 1e-3})
    journal.write(1, 10, {"loss/a": 0.25})
    journal.write(2, 5, {"loss/b": 2.0})
    return journal


def test_rows_come_back(tmp_path: Path) -> None:
    rows = _journal(tmp_path).rows()
    assert rows[0] == Row(1, 5, "loss/a", 0.5)
    assert [(row.stage, row.step) for row in rows] == [(1, 5), (1, 5), (1, 10), (2, 5)]


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    text = journal.path.read_text()
    journal.path.write_text(text[: text.rindex(",")])
    assert [(row.stage, row.step) for row in journal.rows()] == [(1, 5), (1, 5), (1, 10)]


def test_cut_forgets_what_will_be_done_again(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    journal.cut(1, 5)
    assert [row.name for row in journal.rows()] == ["loss/a", "lr"]
    journal.write(1, 10, {"loss/a": 0.125})
    assert journal.rows()[-1] == Row(1, 10, "loss/a", 0.125)


def test_sinks_get_steps_of_the_whole_run(tmp_path: Path) -> None:
    told: list[tuple[int, Mapping[str, float]]] = []
    journal = Journal(tmp_path / "journal.csv", (10, 6), (lambda step, values: told.append((step, values)),))
    journal.write(2, 5, {"loss/b": 2.0})
    assert told == [(15, {"loss/b": 2.0})]


def test_a_folder_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.csv").mkdir()
    with pytest.raises(OutputError, match=f"found {tmp_path} failing"):
        Journal(tmp_path / "journal.csv", (10,)).write(1, 5, {"lr": 1e-3})
