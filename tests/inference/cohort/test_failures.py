import csv
import json
from concurrent.futures import ThreadPoolExecutor

from histocerb.inference.cohort.failures import Failure, forget, read_failures, remember, write_failures
from histocerb.inference.cohort.shared import write_until_true
from histocerb.inference.cohort.table import read_table


def rows(out):
    with (out / "failures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table_has_every_failure_until_it_is_forgotten(tmp_path):
    remember(tmp_path, Failure("/x/b.svs", "b", 'expected "this", found that'))
    remember(tmp_path, Failure("/x/a.svs", "a", "no"))
    remember(tmp_path, Failure("/x/a.svs", "a", "no again"))
    write_failures(tmp_path)
    assert rows(tmp_path) == [
        {"slide": "/x/a.svs", "mpp": "", "name": "a", "reason": "no again"},
        {"slide": "/x/b.svs", "mpp": "", "name": "b", "reason": 'expected "this", found that'},
    ]
    forget(tmp_path, "a")
    forget(tmp_path, "never failed")
    write_failures(tmp_path)
    assert [row["name"] for row in rows(tmp_path)] == ["b"]
    forget(tmp_path, "b")
    write_failures(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failure_costs_one_record_however_many_there_are(tmp_path):
    for name in "abc":
        remember(tmp_path, Failure(f"/x/{name}.svs", name, "no"))
    forget(tmp_path, "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".failed.a.json", ".failed.c.json"]


def test_table_is_one_of_slides(tmp_path):
    remember(tmp_path, Failure("/x/b.svs", "second", "no", None, {"note": "x, y", "grade": "2"}))
    remember(tmp_path, Failure("/x/a.svs", "first", "no", 0.2525, {"patient": "P1", "grade": ""}))
    write_failures(tmp_path)
    first, second = read_table(tmp_path / "failures.csv")
    assert (first.path.as_posix(), first.name, first.mpp) == ("/x/a.svs", "first", 0.2525)
    assert first.columns == {"patient": "P1", "grade": "", "note": ""}
    assert (second.mpp, second.columns) == (None, {"patient": "", "grade": "2", "note": "x, y"})


def test_records_of_earlier_versions_are_read(tmp_path):
    old = {"slide": "/x/a.svs", "name": "a", "reason": "no"}
    (tmp_path / ".failed.a.json").write_text(json.dumps(old))
    assert read_failures(tmp_path) == {"a": Failure("/x/a.svs", "a", "no", None, {}, other_result=False)}


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
            write_failures(tmp_path)

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
