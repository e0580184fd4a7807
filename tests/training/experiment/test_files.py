from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from histocerb.core.errors import UsageError
from histocerb.models.checkpoint import SPEC_FILE, WEIGHTS_FILE
from histocerb.training.experiment.files import read_experiment

BASE = """
name = "base"
store = "stores/base"
network = "small"
stages = [{ heads = ["gland.instance", "lumen.instance"], steps = 10 }]
sampler = { batch_size = 5, mode = "fixed" }
"""
GLAND = """
extends = "base.toml"
name = "gland"
stages = [{ heads = ["gland.instance"], steps = 4 }]
"""
EXPERIMENT = """
name = "tiny"
title = "Table 0"
store = "stores/x"
base = "base.toml"
folds = ["fold-1", "fold-2"]
labels = ["Model"]
change = { workers = 0 }

[[sections]]
columns = [{ heading = "Gland", part = "cross", task = "gland", figure = "pq" }]

[[rows]]
name = "known"
labels = ["Known"]
paper = [[[0.5, 0.010]]]

[[rows]]
name = "one"
labels = ["One"]
runs = [{ config = "gland.toml", change = { seed = 3, sampler = { batch_size = 7 } } }]
paper = [[[0.6, 0.020]]]

[[rows]]
name = "two"
labels = ["Two"]
runs = [{ start_from = "row:one" }]
"""


def _write(folder: Path, experiment: str = EXPERIMENT) -> Path:
    (folder / "base.toml").write_text(BASE)
    (folder / "gland.toml").write_text(GLAND)
    path = folder / "tiny.toml"
    path.write_text(experiment)
    return path


def test_rows_are_changes_to_training_configurations(tmp_path: Path) -> None:
    experiment = read_experiment(_write(tmp_path))
    known, one, two = experiment.rows
    assert known.runs == ()
    assert known.paper == (((0.5, 0.01),),)
    config = one.runs[0].config
    assert (config.seed, config.sampler.batch_size, config.sampler.mode, config.network) == (
        3,
        7,
        "fixed",
        "small",
    )
    assert config.stages[0].heads == ("gland.instance",)
    assert config.workers == 0
    assert two.runs[0].start_from == "one"
    assert two.runs[0].config.sampler.batch_size == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 3", "sead = 3"), r"row 'one' \(gland.toml with its changes\): unknown key 'sead'.*'seed'"),
        (("batch_size = 7", "batch = 7"), r"unknown key 'sampler.batch'; did you mean 'batch_size'"),
        (("seed = 3", "seed = 'x'"), "row 'one'.*seed: .*found 'x'"),
        (("title =", "titel ="), "unknown key 'titel'; did you mean 'title'"),
        (("gland.toml", "nothing.toml"), r"nothing\.toml cannot be read"),
        (('name = "two"', 'name = "one"'), "two rows are called 'one'"),
        (("row:one", "row:none"), "row 'two' starts from 'none'; expected an earlier row of one run"),
        (("row:one", "row:known"), "row 'two' starts from 'known'; expected an earlier row of one run"),
        (("row:one", "one"), r"expected start_from = 'row:NAME', found 'one'"),
        (('["Two"]', '["Two", "2"]'), r"row 'two' needs 1 labels \(Model\), has 2"),
        (("[[[0.6, 0.020]]]", "[[[0.6, 0.020], [0.6, 0.020]]]"), "row 'one' has .2. of the paper's figures"),
        (
            ('task = "gland"', 'task = "nuclei"'),
            "row 'one' has 0 runs that train 'nuclei'; expected exactly one",
        ),
        (('figure = "pq"', 'figure = "pqq"'), "there is no figure 'pqq' of 'gland'; did you mean 'pq'"),
        (('part = "cross"', 'part = "external"'), "`external` names no split"),
        (('["fold-1", "fold-2"]', "[]"), "expected at least one fold"),
        (('["fold-1", "fold-2"]', '["fold-1", "fold-1"]'), "expected each fold once, found 'fold-1' twice"),
        (
            ('labels = ["Model"]', 'labels = ["Model"]\nexternal = "fold-2"'),
            "expected as `external` a split that no run trains on, found 'fold-2', which is one of the folds",
        ),
        (('name = "tiny"', 'name = "../tiny"'), r"expected names of letters, .* found '../tiny'; rename it"),
        (("seed = 3", 'name = "a/b"'), "expected names of letters, .* found 'a/b'; rename it"),
        (("workers = 0", 'tasks = "none"'), "there is no task preset 'none'"),
    ],
)
def test_wrong_experiments_say_what_is_wrong(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in EXPERIMENT
    with pytest.raises(UsageError, match=message):
        read_experiment(_write(tmp_path, EXPERIMENT.replace(*change)))


@pytest.mark.parametrize(
    ("task", "figure", "near"),
    [("gland", "accuracy", "types.accuracy"), ("lumen", "mpq", "pq"), ("tissue", "types.map", "map")],
)
def test_a_column_has_a_figure_of_its_task(tmp_path: Path, task: str, figure: str, near: str) -> None:
    text = EXPERIMENT.replace('task = "gland", figure = "pq"', f'task = "{task}", figure = "{figure}"')
    with pytest.raises(UsageError, match=f"no figure '{figure}' of '{task}'; did you mean '{near}'"):
        read_experiment(_write(tmp_path, text))


def test_runs_know_the_weights_that_they_begin_with(tmp_path: Path) -> None:
    """Not those of a checkpoint that the configuration names where a row does."""
    (tmp_path / "encoder.pth").write_bytes(b"weights")
    for name in ("model", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / SPEC_FILE).touch()
        (tmp_path / name / WEIGHTS_FILE).write_bytes(name.encode())
    place = tmp_path.as_posix()
    files = f"start_from = '{place}/model', encoder_weights = '{place}/encoder.pth'"
    text = EXPERIMENT.replace("seed = 3", files)
    text = text.replace('"row:one" }', f'"row:one", change = {{ start_from = "{place}/other" }} }}')
    _, one, two = read_experiment(_write(tmp_path, text)).rows
    expected = {"start_from": sha256(b"model").hexdigest(), "encoder_weights": sha256(b"weights").hexdigest()}
    assert (one.runs[0].weights, two.runs[0].weights) == (expected, {})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("rows", "expected at least one row to train, found none; add `runs`"),
        ("sections", "expected at least one column in every section, found none; add `columns`"),
    ],
)
def test_there_must_be_something_to_train_and_to_show(tmp_path: Path, key: str, message: str) -> None:
    head, *tables = EXPERIMENT.split("\n[[")
    kept = [f"\n[[{table}" for table in tables if not table.startswith(key)]
    path = _write(tmp_path, f"{head}{key} = []\n{''.join(kept)}")
    with pytest.raises(UsageError, match=message):
        read_experiment(path)


@pytest.mark.parametrize(
    "change", [("runs = ", "runs = [] # "), ('labels = ["O', 'shown = false\nlabels = ["O')]
)
def test_rows_for_reference_only_train_nothing(tmp_path: Path, change: tuple[str, str]) -> None:
    text = EXPERIMENT.partition('[[rows]]\nname = "two"')[0]
    assert change[0] in text
    with pytest.raises(UsageError, match="expected at least one row to train, found none"):
        read_experiment(_write(tmp_path, text.replace(*change)))


def test_a_column_needs_one_run_only(tmp_path: Path) -> None:
    text = EXPERIMENT.replace('runs = [{ start_from = "row:one" }]', "runs = [{}, {}]")
    with pytest.raises(UsageError, match="row 'two' has 2 runs that train 'gland'"):
        read_experiment(_write(tmp_path, text))
