from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image

from histocerb.core.config_file import read_config, validated
from histocerb.core.errors import HistocerbError, OutputError, UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.data.convert import split_store
from histocerb.data.splits import SplitParams
from histocerb.data.store import Store
from histocerb.models.checkpoint import load_checkpoint, save_checkpoint
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig
from histocerb.training.files import alone_in
from histocerb.training.fit import fit
from histocerb.training.journal import Journal

Recipe = dict[str, Any]
EVERYTHING = {
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "warmup": 0.2,
    "clip_norm": 1.0,
    "accumulate": 2,
    "ema": 0.9,
}
"""Options of a stage whose state must survive an interruption."""


def _config(recipe: Recipe, **run: Any) -> TrainConfig:
    return validated(recipe | run, TrainConfig, "recipe")


def _with_everything(recipe: Recipe, **run: Any) -> TrainConfig:
    stages = [stage | EVERYTHING for stage in recipe["stages"]]
    return _config(recipe, stages=stages, precision="bf16", **run)


@pytest.fixture
def unvalidated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end without the validation of their model, which takes longer than they do."""
    monkeypatch.setattr("histocerb.training.fit.validate", lambda *_: {"summary": {}})


class _StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


def _assert_same(one: Path, other: Path) -> None:
    states = [load_checkpoint(folder).network.state_dict() for folder in (one, other)]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def test_interrupted_run_ends_with_the_same_bits(recipe: Recipe, tmp_path: Path) -> None:
    config = _config(recipe, validation={"every": 6, "images": 1})
    whole = fit(config, tmp_path / "whole", device="cpu")
    other = replace(config, workers=1, save_every=2)
    with pytest.raises(RuntimeError, match="killed"):
        fit(other, tmp_path / "cut", callbacks=(_StopAt(7),), device="cpu")
    cut = fit(other, tmp_path / "cut", device="cpu")
    _assert_same(whole, cut)
    reports = [json.loads((tmp_path / name / "validation.json").read_text()) for name in ("whole", "cut")]
    assert reports[0]["summary"] == reports[1]["summary"]
    journals = [Journal(tmp_path / name / "journal.csv", ()).rows() for name in ("whole", "cut")]
    told = [[(r.stage, r.step, r.name) for r in rows if r.name.startswith("valid")] for rows in journals]
    assert told[0] == told[1]
    assert len(told[0]) == len(set(told[0])) > 0


@pytest.mark.usefixtures("unvalidated")
@pytest.mark.parametrize("stops", [(6,), (9, 5)])
def test_every_option_is_resumed_to_the_same_bits(
    recipe: Recipe, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    config = _with_everything(recipe)
    whole = fit(config, tmp_path / "whole", device="cpu")
    other = replace(config, save_every=2, pictures_every=5)
    for stop in stops:
        with pytest.raises(RuntimeError, match="killed"):
            fit(other, tmp_path / "cut", callbacks=(_StopAt(stop),), device="cpu")
    _assert_same(whole, fit(other, tmp_path / "cut", device="cpu"))


def test_killed_at_random_moments_with_every_option(recipe: Recipe, tmp_path: Path) -> None:
    """Real processes, killed with SIGKILL wherever they are: while they save, too."""
    config = _with_everything(recipe, save_every=1)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["histocerb.training.fit"])

    def start(out: Path) -> Any:
        process = context.Process(target=fit, args=(config, out, (), "cpu"))
        process.start()
        return process

    def journal_bytes(out: Path) -> int:
        path = out / "journal.csv"
        return path.stat().st_size if path.exists() else 0

    whole, cut, chance, kills = tmp_path / "whole", tmp_path / "cut", random.Random(1), 0
    process = start(whole)
    process.join()
    assert process.exitcode == 0
    for share in (0.2, 0.5, 0.8):
        process = start(cut)
        while process.is_alive() and journal_bytes(cut) < share * journal_bytes(whole):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills
    process = start(cut)
    process.join()
    assert process.exitcode == 0
    _assert_same(tmp_path / "whole" / "model", tmp_path / "cut" / "model")


def test_a_run_folder_tells_what_was_done(recipe: Recipe, store: Store, tmp_path: Path) -> None:
    config = _config(recipe, pictures_every=5)
    model = fit(config, tmp_path, device="cpu")
    assert validated(json.loads((tmp_path / "config.json").read_text()), TrainConfig, "file") == config
    facts = json.loads((tmp_path / "facts.json").read_text())
    checkpoint = load_checkpoint(model)
    assert checkpoint.facts["data"] == facts["data"]
    assert checkpoint.facts["git"] == facts["git"]
    assert checkpoint.facts["config"]["seed"] == facts["seed"] == 3
    report = json.loads((tmp_path / "validation.json").read_text())
    assert report["model"]["sha256"] == checkpoint.sha256
    assert report["data"]["fingerprint"] == facts["data"]["fingerprint"]
    assert {task for tasks in report["summary"].values() for task in tasks} <= {
        t.name for t in CERBERUS.tasks
    }
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 0
    assert [path.name for path in sorted((tmp_path / "pictures").iterdir())] == [
        f"stage-{stage}-step-{step:06}.png" for stage, step in ((1, 5), (1, 10), (2, 5))
    ]
    rows = Journal(tmp_path / "journal.csv", ()).rows()
    assert {(row.stage, row.step) for row in rows if row.name == "lr"} == {(1, 10), (2, 6)}
    before = (tmp_path / "journal.csv").read_text()
    fit(config, tmp_path, device="cpu")  # nothing is left to do
    assert (tmp_path / "journal.csv").read_text() == before
    assert load_checkpoint(model).sha256 == checkpoint.sha256


@pytest.mark.usefixtures("unvalidated")
def test_a_folder_belongs_to_one_configuration_and_its_data(
    recipe: Recipe, store: Store, tmp_path: Path
) -> None:
    short = recipe | {"stages": [{"heads": ["gland.instance"], "steps": 2}]}
    fit(_config(short), tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match="another configuration"):
        fit(_config(short, seed=4), tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match="another configuration"):
        fit(_config(short, precision="bf16"), tmp_path / "run", device="cpu")
    moved = shutil.copytree(store.path, tmp_path / "moved")
    free = {"store": str(moved), "workers": 1, "save_every": 1, "pictures_every": 1}
    fit(_config(short, **free), tmp_path / "run", device="cpu")
    other = tmp_path / "other"
    shutil.copytree(store.path, other)
    split_store(other, SplitParams(valid_fraction=0.5, seed=9))
    with pytest.raises(UsageError, match="expected the data that the run in"):
        fit(_config(short, store=str(other)), tmp_path / "run", device="cpu")


@pytest.mark.usefixtures("unvalidated")
def test_a_finished_run_is_left_as_it_is(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fit(_config(recipe), tmp_path / "run")
    weights = (model / "weights.safetensors").read_bytes()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with monkeypatch.context() as again:
        again.setattr("histocerb.training.fit.save_checkpoint", lambda *_, **__: pytest.fail("written again"))
        assert fit(_config(recipe), tmp_path / "run") == model
    assert written == {path: path.stat().st_mtime_ns for path in written}
    shutil.rmtree(model)
    assert fit(_config(recipe), tmp_path / "run") == model
    assert (model / "weights.safetensors").read_bytes() == weights


@pytest.mark.usefixtures("unvalidated")
def test_a_mistake_does_not_bind_the_folder(recipe: Recipe, tmp_path: Path) -> None:
    short = recipe | {"stages": [{"heads": ["gland.instance"], "steps": 2}]}
    with pytest.raises(UsageError, match="fold-9"):
        fit(_config(short, validation={"split": "fold-9", "images": 1}), tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match="batch_size of at least 2"):
        fit(_config(short, devices=2, sampler={"batch_size": 1}), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stages": []}, "stages"),
        ({"stages": [{"heads": [], "steps": 2}]}, "heads"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**60}, "seed"),
        ({"crops": {"crop_px": 0}}, "crop_px"),
        ({"crops": {"crop_px": 100}}, "multiple of 16"),
        ({"loss_weights": {"nuclei.instance": -1}}, "loss_weights"),
    ],
)
def test_impossible_values_are_refused(recipe: Recipe, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _config(recipe, **changes)


def test_a_file_in_the_way_is_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="choose another --out"):
        fit(_config(recipe), tmp_path / "file", device="cpu")


def test_two_processes_do_not_train_in_one_folder(recipe: Recipe, tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(OutputError, match="another process that trains there"):
        fit(_config(recipe), tmp_path, device="cpu")
    with alone_in(tmp_path):
        pass
    assert not (tmp_path / "config.json").exists()


@pytest.mark.usefixtures("unvalidated")
def test_damaged_files_of_a_run_are_named(recipe: Recipe, tmp_path: Path) -> None:
    config = _config(recipe, stages=[{"heads": ["gland.instance"], "steps": 2}])
    model = fit(config, tmp_path, device="cpu")
    shutil.rmtree(model)
    weights, facts = tmp_path / "stage-1" / "weights.safetensors", tmp_path / "facts.json"
    for size in (0, 1000):
        weights.write_bytes(bytes(size))
        with pytest.raises(OutputError, match=r"weights\.safetensors: .* found a damaged file; remove it"):
            fit(config, tmp_path, device="cpu")
    weights.unlink()
    whole = facts.read_text()
    facts.write_text("")
    with pytest.raises(OutputError, match=r"facts\.json: .* found a damaged file; remove it"):
        fit(config, tmp_path, device="cpu")
    facts.write_text(whole)
    assert fit(config, tmp_path, device="cpu") == model


@pytest.mark.usefixtures("unvalidated")
def test_weights_are_on_the_disk_before_what_they_replace_is_removed(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(recipe, stages=[{"heads": ["gland.instance"], "steps": 2}], save_every=1)
    resume, sync, synced = tmp_path / "stage-1" / "last.ckpt", os.fsync, []

    def noted(file: int) -> None:
        synced.append((os.fstat(file).st_size, resume.is_file()))
        sync(file)

    monkeypatch.setattr(os, "fsync", noted)
    fit(config, tmp_path, device="cpu")
    size = (tmp_path / "stage-1" / "weights.safetensors").stat().st_size
    assert (size, True) in synced


@pytest.mark.usefixtures("unvalidated")
def test_a_run_of_an_earlier_version_goes_on(recipe: Recipe, tmp_path: Path) -> None:
    """Options that were not there yet have their defaults, which do what was done then."""
    short = recipe | {"stages": [{"heads": ["gland.instance"], "steps": 2}]}
    config = _config(short)
    model = fit(config, tmp_path, device="cpu")
    document = json.loads((tmp_path / "config.json").read_text())
    for name in ("precision", "devices", "logger", "start_from", "workers"):
        del document[name]
    for name in EVERYTHING:
        del document["stages"][0][name]
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert fit(config, tmp_path, device="cpu") == model


def test_one_task_alone_gives_a_model_of_one_task(recipe: Recipe, tmp_path: Path) -> None:
    config = _config(recipe, stages=[{"heads": ["gland.instance"], "steps": 2}])
    checkpoint = load_checkpoint(fit(config, tmp_path, device="cpu"))
    assert [task.name for task in checkpoint.network.spec.tasks] == ["gland"]
    assert not any("nuclei" in key for key in checkpoint.network.state_dict())
    report = json.loads((tmp_path / "validation.json").read_text())
    assert {task for tasks in report["summary"].values() for task in tasks} <= {"gland"}


@pytest.mark.usefixtures("unvalidated")
def test_subtyping_on_a_trained_checkpoint_moves_nothing_else(recipe: Recipe, tmp_path: Path) -> None:
    segmenting, typing = recipe["stages"]
    first = fit(_config(recipe, stages=[segmenting | {"steps": 2}]), tmp_path / "first", device="cpu")
    second = _config(recipe, stages=[typing | {"steps": 2}], start_from=str(first), subtyping_loss="ce")
    before = load_checkpoint(first)
    after = load_checkpoint(fit(second, tmp_path / "second", device="cpu"))
    assert {head.name for head in after.network.spec.heads} == {head.name for head in CERBERUS.heads}
    state = after.network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.network.state_dict().items())
    assert after.facts["started_from"] == before.sha256


@pytest.mark.usefixtures("unvalidated")
def test_a_folder_belongs_to_the_weights_that_its_run_began_with(recipe: Recipe, tmp_path: Path) -> None:
    start, out = tmp_path / "start", tmp_path / "run"
    short = _config(recipe, stages=[{"heads": ["gland.instance"], "steps": 2}], start_from=str(start))
    network = first_network(replace(short, start_from=None))
    sha256 = save_checkpoint(start, network)
    with pytest.raises(RuntimeError, match="killed"):
        fit(short, out, callbacks=(_StopAt(1),), device="cpu")
    with torch.no_grad():
        network.project.weight.add_(1)
    save_checkpoint(start, network)
    with pytest.raises(UsageError, match=f"the weights of start_from .* began with .{sha256[:12]}.* choose"):
        fit(short, out, device="cpu")
    facts = json.loads((out / "facts.json").read_text())
    assert facts.pop("weights") == {"start_from": sha256}
    (out / "facts.json").write_text(json.dumps(facts))  # as earlier versions wrote them
    model = fit(short, out, device="cpu")
    assert load_checkpoint(model).facts["started_from"] == load_checkpoint(start).sha256
    shutil.rmtree(start)
    assert fit(short, out, device="cpu") == model


@pytest.mark.usefixtures("unvalidated")
def test_the_same_weights_in_another_place_go_on(recipe: Recipe, tmp_path: Path) -> None:
    start, moved, out = tmp_path / "start", tmp_path / "moved", tmp_path / "run"
    short = _config(recipe, stages=[{"heads": ["gland.instance"], "steps": 2}], start_from=str(start))
    save_checkpoint(start, first_network(replace(short, start_from=None)))
    with pytest.raises(RuntimeError, match="killed"):
        fit(short, out, callbacks=(_StopAt(1),), device="cpu")
    elsewhere = replace(short, start_from=str(shutil.move(start, moved)))
    for other in (short, replace(short, start_from=None), replace(elsewhere, seed=4)):
        with pytest.raises(HistocerbError):
            fit(other, out, device="cpu")
    facts = (out / "facts.json").read_text()
    (out / "facts.json").write_text(facts.replace("start_from", "nothing"))  # it is not known which they were
    with pytest.raises(UsageError, match="another configuration"):
        fit(elsewhere, out, device="cpu")
    (out / "facts.json").write_text(facts)
    assert load_checkpoint(fit(elsewhere, out, device="cpu")).facts["config"]["start_from"] == str(moved)


@pytest.mark.usefixtures("unvalidated")
def test_facts_are_those_of_the_weights_that_a_run_began_with(recipe: Recipe, tmp_path: Path) -> None:
    start = tmp_path / "start"
    short = _config(recipe, stages=[{"heads": ["gland.instance"], "steps": 1}], start_from=str(start))
    network = first_network(_config(recipe, stages=[{"heads": ["nuclei.type"], "steps": 2}]))
    shares = dict.fromkeys(CERBERUS.task("nuclei").classes, 0.25)

    class Replace(Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            save_checkpoint(start, network, half=True)

    sha256 = save_checkpoint(start, network, {"frequencies": {"nuclei.type": shares}})
    model = fit(short, tmp_path / "run", callbacks=(Replace(),), device="cpu")
    assert load_checkpoint(start).sha256 != sha256
    assert load_checkpoint(model).facts["started_from"] == sha256
    assert load_checkpoint(model).facts["frequencies"] == {"nuclei.type": shares}


@pytest.mark.usefixtures("unvalidated")
def test_a_loss_that_is_not_finite_ends_the_run(recipe: Recipe, tmp_path: Path) -> None:
    config = _config(recipe, stages=[recipe["stages"][0] | {"lr": 1e30}])
    with pytest.raises(HistocerbError, match=r"the loss of .*\.\w+.* is not finite at step 4; lower"):
        fit(config, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "stage-1" / "last.ckpt").exists()


TOML = """
name = "tiny"
store = "{store}"
seed = 3
[[stages]]
heads = ["nuclei.type"]
steps = 10
[crops]
crop_px = 48
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 3", "sead = 3"), "unknown key 'sead'; did you mean 'seed'"),
        (("crop_px = 48", "crop_pix = 48"), r"unknown key 'crops\.crop_pix'; did you mean 'crop_px'"),
        (("steps = 10", "steps = -1"), "steps.*greater than 0"),
        (("nuclei.type", "nuclei.typo"), r"no head 'nuclei\.typo'; cerberus has"),
        (("seed = 3", "network = 'resnet7'"), "no network 'resnet7'; known are resnet18"),
        (("seed = 3", "tasks = 'hydra'"), "no task preset 'hydra'; known are cerberus"),
        (("seed = 3", "devices = 9999"), "expected 9999 cuda devices for 'cuda', found"),
    ],
)
def test_wrong_configurations_say_what_is_wrong(
    store: Store, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(TOML.replace(*change).format(store=store.path.as_posix()))
    with pytest.raises(UsageError, match=message):
        fit(read_config(path, TrainConfig), tmp_path / "run", device="cuda" if "cuda" in message else "cpu")
    assert not (tmp_path / "run").exists()
