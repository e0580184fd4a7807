import csv
from concurrent.futures import ThreadPoolExecutor

from histocerb.inference.cohort.failures import Failure, forget, read_failures, remember
from histocerb.inference.cohort.shared import write_until_true


def rows(out):
    with (out / "failures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table_has_every_failure_until_it_is_forgotten(tmp_path):
    remember(tmp_path, Failure("/x/b.svs", "b", 'expected "this", found that'))
    remember(tmp_path, Failure("/x/a.svs", "a", "no"))
    remember(tmp_path, Failure("/x/a.svs", "a", "no again"))
    assert rows(tmp_path) == [
        {"slide": "/x/a.svs", "name": "a", "reason": "no again"},
        {"slide": "/x/b.svs", "name": "b", "reason": 'expected "this", found that'},
    ]
    forget(tmp_path, "a")
    forget(tmp_path, "never failed")
    assert [row["name"] for row in rows(tmp_path)] == ["b"]
    forget(tmp_path, "b")
    assert not list(tmp_path.iterdir())


def test_damaged_records_are_left_out(tmp_path):
    remember(tmp_path, Failure("/x/a.svs", "a", "no"))
    (tmp_path / ".failed.b.json").write_text("{")
    (tmp_path / ".failed.c.json").write_text('{"slide": 1}')
    assert list(read_failures(tmp_path)) == ["a"]


def test_many_writers_leave_the_table_true(tmp_path):
    def work(writer):
        for number in range(6):
            remember(tmp_path, Failure("x.svs", f"{writer}-{number}", "no"))
            if number % 2:
                forget(tmp_path, f"{writer}-{number}")

    with ThreadPoolExecutor(6) as writers:
        list(writers.map(work, range(6)))
    expected = sorted(f"{writer}-{number}" for writer in range(6) for number in (0, 2, 4))
    assert [row["name"] for row in rows(tmp_path)] == expected
    assert not list(tmp_path.glob("*.partial"))


def test_what_changed_while_it_was_written_is_written_again():
    truth, written = ["a"], []

    def write(seen):
        written.append(seen)
        if len(truth) < 3:
            truth.append("b")

    assert write_until_true(lambda: list(truth), write, lambda one, other: one == other) == ["a", "b", "b"]
    assert written == [["a"], ["a", "b"], ["a", "b", "b"]]
