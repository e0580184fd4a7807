"""`histocerb experiment` with runs that train nothing."""

from __future__ import annotations

import json

import pytest

from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries
from histocerb.data.splits import SplitParams

BASE = """
name = "base"
store = "unused"
stages = [{ heads = ["gland.instance"], steps = 10 }]
"""
EXPERIMENT = """
name = "tiny"
title = "Table 0"
store = "STORE"
base = "base.toml"
folds = ["fold-1", "fold-2"]
labels = ["Model"]

[[sections]]
columns = [{ heading = "PQ", part = "cross", task = "gland", figure = "pq" }]

[[rows]]
name = "one"
labels = ["One"]
runs = [{}]
paper = [[[0.5, 0.01]]]

[[rows]]
name = "bad"
labels = ["Bad"]
runs = [{ change = { name = "bad" } }]
"""


@pytest.fixture
def config(tmp_path):
    import numpy as np

    from histocerb.core.samples import ObjectLabels, Sample

    def sample(number):
        image = np.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        labels = {"gland": ObjectLabels(np.eye(64, dtype=np.int32))}
        return Sample(image, 0.5, labels, source="x", patient=f"p{number}", name=f"p{number}")

    convert(as_entries(sample(n) for n in range(4)), tmp_path / "store", split=SplitParams(folds=2))
    (tmp_path / "base.toml").write_text(BASE)
    path = tmp_path / "tiny.toml"
    path.write_text(EXPERIMENT.replace("STORE", (tmp_path / "store").as_posix()))
    return path


@pytest.fixture
def devices(monkeypatch):
    """The devices of the runs; runs of the configuration `bad` fail, unless it is taken from the list."""
    from histocerb.training.experiment import process
    from histocerb.training.experiment.perform import Work, perform

    used, trouble = [], ["bad"]

    def train(job, folder, device):
        if job.name.split(".")[0] in trouble:
            raise RuntimeError("no memory")

    def evaluate(model, job, split, device):
        return {"summary": {"all": {"gland": {"pq": 0.25}}}}

    def launch(folder, device, stop):
        used.append(device)
        return perform(folder, device, Work(train, evaluate))

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(process, "launch", launch)
    return used, trouble


def test_run_status_table(cli, config, tmp_path, devices):
    used, trouble = devices
    words = ("experiment", "run", config, "--out", tmp_path / "out", "--devices", "cuda:0,cuda:1")
    found = cli(*words)
    assert found.code == 1
    assert set(used) <= {"cuda:0", "cuda:1"}
    assert "| One   | ours  | 0.250 ± 0.000 |" in found.out
    assert "|       | paper | 0.500 ± 0.010 |" in found.out
    assert "| Bad   | ours  | missing       |" in found.out
    assert "failed (RuntimeError: no memory)" in found.out

    status = cli("experiment", "status", tmp_path / "out")
    assert status.code == 0
    lines = status.out.splitlines()
    assert lines[0] == "tiny: Table 0"
    assert [line.split()[1] for line in lines[2:]] == ["done", "done", "failed", "failed"]

    trouble.clear()
    assert cli(*words).code == 0
    assert len(used) == 6
    table = cli("experiment", "table", tmp_path / "out")
    assert table.code == 0
    assert "| Bad   | ours  | 0.250 ± 0.000 |" in table.out
    assert "Missing" not in table.out
    document = json.loads((tmp_path / "out" / "tables" / "tiny.json").read_text())
    assert document["rows"][0]["cells"][0]["ours"]["mean"] == 0.25


def test_a_store_that_was_split_again_is_trained_on_again(cli, config, tmp_path, devices):
    from histocerb.data.convert import split_store

    used, _ = devices
    words = ("experiment", "run", config, "--out", tmp_path / "out", "--devices", "cpu", "--only", "one")
    assert cli(*words).code == 0
    assert cli(*words).code == 0
    assert len(used) == 2
    split_store(tmp_path / "store", SplitParams(folds=2, external=("p0",)))
    for command in ("status", "table"):
        found = cli("experiment", command, tmp_path / "out")
        assert found.code == 0
        assert f"The data of {(tmp_path / 'store').as_posix()} have changed since" in found.out
    found = cli(*words)
    assert found.code == 0
    assert "have changed since tiny was last run" in found.err
    assert len(used) == 4
    assert "have changed" not in cli("experiment", "table", tmp_path / "out").out


def test_one_row_only(cli, config, tmp_path, devices):
    found = cli("experiment", "run", config, "--out", tmp_path / "out", "--devices", "cpu", "--only", "one")
    assert found.code == 0
    assert "| Bad   | ours  | missing       |" in found.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--devices", "gpu"), "expected devices such as cpu or cuda:0,cuda:1, found 'gpu'"),
        (("--devices", "cuda,cuda:0"), "expected each device once, found 'cuda:0' twice"),
        (("--only", "none"), "expected one of the rows one, bad, found 'none'"),
    ],
)
def test_wrong_use(cli, config, tmp_path, devices, words, message):
    found = cli("experiment", "run", config, "--out", tmp_path / "out", *words)
    assert found.code == 2
    assert message in found.err


def test_wrong_files(cli, config, tmp_path):
    config.write_text(config.read_text().replace("fold-2", "fold-9"))
    found = cli("experiment", "run", config, "--out", tmp_path / "out", "--devices", "cpu")
    assert found.code == 2
    assert "expected the splits fold-1, fold-9" in found.err
    config.write_text(config.read_text().replace("fold-9", "fold-2"))
    found = cli("experiment", "run", config, "--out", config, "--devices", "cpu")
    assert found.code == 1
    assert f"expected to write into the folder {config}, found" in found.err
    found = cli("experiment", "status", tmp_path / "nothing")
    assert found.code == 1
    assert "expected the folder of an experiment" in found.err
