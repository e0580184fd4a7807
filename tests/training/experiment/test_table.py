from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from histocerb.core.errors import OutputError, UsageError
from histocerb.training.experiment.ledger import State, Status, document_file, run_folder, write_state
from histocerb.training.experiment.plan import Experiment, jobs
from histocerb.training.experiment.run import read_experiments, run_experiment, states, write_table

EMPTY = """\
## Table 0

**(a) Cross validation**

| Model |       | gland pq      | lumen pq      |
| ----- | ----- | ------------- | ------------- |
| Known | paper | 0.610 ± 0.020 | 0.510 ± 0.030 |
| Alone | ours  | missing       | missing       |
| Both  | ours  | missing       | missing       |
|       | paper | 0.620 ± 0.020 | 0.520 ± 0.030 |
| Later | ours  | missing       | missing       |
"""
FULL = """\
## Table 0

**(a) Cross validation**

| Model |       | gland pq       | lumen pq       |
| ----- | ----- | -------------- | -------------- |
| Known | paper | 0.610 ± 0.020  | 0.510 ± 0.030  |
| Alone | ours  | 0.600 ± 0.141  | 0.600 ± 0.141  |
| Both  | ours  | 0.500 (1 of 2) | 0.500 (1 of 2) |
|       | paper | 0.620 ± 0.020  | 0.520 ± 0.030  |
| Later | ours  | missing        | missing        |

**(b) External test**

| Model |       | gland pq       | lumen types.mf1 |
| ----- | ----- | -------------- | --------------- |
| Known | paper | 0.400 ± 0.010  | 0.300 ± 0.100   |
| Alone | ours  | 0.400 ± 0.000  | undefined       |
| Both  | ours  | 0.400 (1 of 2) | missing         |
|       | paper | 0.410 ± 0.010  | 0.310 ± 0.100   |
| Later | ours  | missing        | missing         |

ours: mean ± SD over 2 folds of stores/x. paper: as printed there, over its own three folds. \
A model without a line of ours is there for reference.

Missing runs:

"""


@pytest.fixture
def out(experiment: Experiment, tmp_path: Path, faulty) -> Path:
    """All runs but the second of `both` (which failed) and those of `later` (not asked for)."""
    bad = jobs(experiment, ("both",))[1].name
    fake = faulty(bad, RuntimeError("no memory"))
    assert not run_experiment(experiment, tmp_path, ("cpu",), fake.launch, ("alone", "both"))
    return tmp_path


def test_a_table_without_runs_has_the_papers_figures_only(experiment: Experiment, tmp_path: Path) -> None:
    assert write_table(experiment, tmp_path).startswith(EMPTY)


def test_the_layout_of_a_table(experiment: Experiment, out: Path) -> None:
    text = write_table(experiment, out)
    head, _, below = text.partition("Missing runs:\n\n")
    assert f"{head}Missing runs:\n\n" == FULL
    names = [job.name for job in jobs(experiment)]
    assert below.splitlines() == [
        f"- {names[5]}: failed (RuntimeError: no memory)",
        f"- {names[6]}: waiting",
        f"- {names[7]}: waiting",
    ]
    assert (out / "tables" / "tiny.md").read_text(encoding="utf-8") == text


def test_csv_and_json_say_the_same(experiment: Experiment, out: Path) -> None:
    write_table(experiment, out)
    rows = list(csv.DictReader(io.StringIO((out / "tables" / "tiny.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 4 * 4
    document = json.loads((out / "tables" / "tiny.json").read_text())
    cells = [(row, cell) for row in document["rows"] for cell in row["cells"]]
    for line, (row, cell) in zip(rows, cells, strict=True):
        assert (line["row"], line["Model"]) == (row["name"], row["labels"]["Model"])
        assert (line["task"], line["figure"], line["part"]) == (cell["task"], cell["figure"], cell["part"])
        assert line["mean"] == ("" if cell["ours"]["mean"] is None else str(cell["ours"]["mean"]))
        assert line["paper_sd"] == ("" if cell["paper"] is None else str(cell["paper"]["sd"]))
    both = next(row for row in document["rows"] if row["name"] == "both")["cells"][0]
    assert both["ours"] == {"n": 1, "mean": 0.5, "sd": None, "folds": {"fold-1": 0.5}}
    assert both["missing"] == ["fold-2"]
    assert both["paper"] == {"mean": 0.62, "sd": 0.02}
    assert document["rows"][0]["reference"]


def test_nothing_is_taken_from_runs_of_another_configuration(experiment: Experiment, out: Path) -> None:
    first = jobs(experiment, ("alone",))[0]
    document_file(run_folder(out, first.name), first, "fold-1").unlink()
    assert "| Alone | ours  | 0.700 (1 of 2) |" in write_table(experiment, out)
    assert states(experiment, out)[first.name].reason == "trained, to be evaluated on other samples"


def test_runs_on_earlier_data_are_not_mixed_with_new_ones(
    experiment: Experiment, out: Path, faulty, caplog: pytest.LogCaptureFixture
) -> None:
    """The first fold on new data fails: its figure on the earlier data does not take its place."""
    changed = replace(experiment, data={**experiment.data, "fold-2": "f" * 64})
    text = write_table(changed, out)
    assert "| Alone | ours  | missing       | missing       |" in text
    assert {state.status for state in states(changed, out).values()} == {"waiting"}
    bad = jobs(changed, ("alone",))[0].name
    fake = faulty(bad, RuntimeError("no memory"))
    assert not run_experiment(changed, out, ("cpu",), fake.launch, ("alone",))
    assert "the data of stores/x have changed since tiny was last run" in caplog.text
    assert len(fake.trained) == 3
    assert "| Alone | ours  | 0.700 (1 of 2) | 0.600 ± 0.141 |" in write_table(changed, out)
    assert "| Alone | ours  | 0.600 ± 0.141  | 0.600 ± 0.141  |" in write_table(experiment, out)


def test_another_external_test_is_measured_without_training(experiment: Experiment, out: Path, fake) -> None:
    changed = replace(experiment, data={**experiment.data, "external": "f" * 64})
    first = jobs(changed, ("alone",))[0].name
    assert states(changed, out)[first].reason == "trained, to be evaluated on other samples"
    cross, _, outside = write_table(changed, out).partition("(b)")
    assert "| Alone | ours  | 0.600 ± 0.141  |" in cross
    assert "| Alone | ours  | missing       |" in outside
    assert run_experiment(changed, out, ("cpu",), fake.launch, ("alone",))
    assert fake.trained == []
    assert {split for _, split in fake.evaluated} == {"external"}


def test_the_store_must_have_been_looked_at(experiment: Experiment, tmp_path: Path, fake) -> None:
    with pytest.raises(
        UsageError, match="with the data of its store, found none; pass it through `on_store`"
    ):
        run_experiment(replace(experiment, data={}), tmp_path, ("cpu",), fake.launch)


def test_a_place_that_cannot_be_written_to(experiment: Experiment, tmp_path: Path, fake) -> None:
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below"):
        with pytest.raises(OutputError, match=r"expected to write into the folder .*found: .*choose another"):
            run_experiment(experiment, place, ("cpu",), fake.launch)
    (tmp_path / "tables").touch()
    with pytest.raises(OutputError, match="expected to write into the folder"):
        write_table(experiment, tmp_path)


def test_a_figure_that_an_evaluation_lacks_is_undefined(experiment: Experiment, out: Path) -> None:
    for path in out.glob("runs/*/evaluation/*.json"):
        path.write_text(path.read_text().replace('"pq"', '"qp"'))
    text = write_table(experiment, out)
    assert "| Alone | ours  | undefined     | undefined     |" in text
    assert "| Both  | ours  | missing       | missing       |" in text


def test_a_truncated_evaluation_is_named(experiment: Experiment, out: Path, fake) -> None:
    first = jobs(experiment, ("alone",))[0]
    path = document_file(run_folder(out, first.name), first, "fold-1")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(OutputError, match=rf"{re.escape(str(path))}; remove it"):
        write_table(experiment, out)
    path.unlink()
    assert run_experiment(experiment, out, ("cpu",), fake.launch, ("alone",))
    assert fake.evaluated == [(first.name, "fold-1")]
    assert "| Alone | ours  | 0.600 ± 0.141 " in write_table(experiment, out)


def test_cells_may_hold_what_means_something_in_markdown(experiment: Experiment, out: Path) -> None:
    rows = tuple(replace(row, labels=("a | b",)) for row in experiment.rows)
    grid = [line for line in write_table(replace(experiment, rows=rows), out).splitlines() if "|" in line]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in grid} == {5}
    assert {len(line) for line in grid[:7]} == {len(grid[0])}
    assert r"| a \| b | ours  |" in grid[3]


def test_experiments_are_found_again(experiment: Experiment, out: Path, tmp_path: Path) -> None:
    assert read_experiments(out) == (experiment,)
    with pytest.raises(OutputError, match="expected the folder of an experiment"):
        read_experiments(tmp_path / "nothing")
    (out / "experiments" / "tiny.json").write_text("{}")
    with pytest.raises(OutputError, match="another version"):
        read_experiments(out)


def test_who_may_not_write_sees_how_far_runs_are(
    experiment: Experiment, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether somebody is at work there cannot be told then."""
    first = jobs(experiment)[0]
    write_state(run_folder(out, first.name), State(Status.RUNNING))
    assert states(experiment, out)[first.name].status is Status.INTERRUPTED

    def denied(lock: FileLock, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", lock.lock_file)

    monkeypatch.setattr(FileLock, "acquire", denied)
    assert states(experiment, out)[first.name].status is Status.RUNNING


def test_only_rows_that_are_there(experiment: Experiment, tmp_path: Path, fake) -> None:
    with pytest.raises(UsageError, match="expected one of the rows alone, both, later, found 'known'"):
        run_experiment(experiment, tmp_path, ("cpu",), fake.launch, ("known",))


def test_two_experiments_do_not_work_in_one_folder(experiment: Experiment, tmp_path: Path, fake) -> None:
    def launch(folder, device, stop):
        with pytest.raises(UsageError, match="another experiment is at work"):
            run_experiment(experiment, tmp_path, ("cpu",), fake.launch)
        state = next(iter(states(experiment, tmp_path).values()))
        assert state.status == "waiting"
        return fake.launch(folder, device, stop)

    assert run_experiment(experiment, tmp_path, ("cpu",), launch, ("both",))
