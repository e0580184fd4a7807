from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from histocerb.core.config_file import read_config
from histocerb.core.errors import HistocerbError, UsageError
from histocerb.data.store import Store
from histocerb.models.checkpoint import load_checkpoint
from histocerb.training.config import TrainConfig
from histocerb.training.fit import fit

TOML = """
name = "tiny"
store = "{store}"
seed = 3
workers = {workers}
save_every = 4
validation = {{ every = 5, images = 2 }}
[[stages]]
heads = ["nuclei.instance", "gland.instance", "lumen.instance", "tissue.patch"]
steps = 10
[[stages]]
heads = ["nuclei.type", "gland.type"]
freeze = true
steps = 6
schedule = "cosine"
[network]
head_width = 8
patch_width = 8
encoder = {{ blocks = [1, 1, 1], widths = [16, 16, 16, 32], stem_stride = 2 }}
[sampler]
batch_size = 3
[crops]
crop_px = 48
"""


def _config(store: Store, tmp_path: Path, workers: int = 0, text: str = TOML) -> TrainConfig:
    path = tmp_path / "run.toml"
    path.write_text(text.format(store=store.path.as_posix(), workers=workers))
    return read_config(path, TrainConfig)


class _StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


@pytest.mark.parametrize("stops", [(6,), (9, 5)])
def test_interrupted_run_ends_with_the_same_bits(
    store: Store, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    whole = load_checkpoint(fit(_config(store, tmp_path), tmp_path / "whole", device="cpu"))
    config = _config(store, tmp_path, workers=1)
    for stop in stops:
        with pytest.raises(RuntimeError, match="killed"):
            fit(config, tmp_path / "cut", callbacks=(_StopAt(stop),), device="cpu")
    cut = load_checkpoint(fit(config, tmp_path / "cut", device="cpu"))
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, cut.network.state_dict()[key]), key
    assert cut.facts["config"]["seed"] == 3
    reports = [json.loads((tmp_path / name / "validation.json").read_text()) for name in ("whole", "cut")]
    assert reports[0] == reports[1]
    assert all(figures["dice"]["n"] >= 1 for figures in reports[0]["squares"].values())


def test_a_folder_belongs_to_one_configuration(store: Store, tmp_path: Path) -> None:
    fit(_config(store, tmp_path), tmp_path / "run", device="cpu")
    other = _config(store, tmp_path, text=TOML.replace("seed = 3", "seed = 4"))
    with pytest.raises(UsageError, match="another configuration"):
        fit(other, tmp_path / "run", device="cpu")


def test_a_loss_that_is_not_finite_ends_the_run(store: Store, tmp_path: Path) -> None:
    text = TOML.replace("steps = 10", "steps = 10\nlr = 1e30").replace("every = 5, ", "")
    config = _config(store, tmp_path, text=text)
    with pytest.raises(HistocerbError, match="not finite"):
        fit(config, tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 3", "sead = 3"), "unknown key 'sead'; did you mean 'seed'"),
        (("crop_px = 48", "crop_pix = 48"), r"unknown key 'crops\.crop_pix'; did you mean 'crop_px'"),
        (("steps = 10", "steps = -1"), "steps.*greater than 0"),
        (("nuclei.type", "nuclei.typo"), "no head 'nuclei.typo'; cerberus has"),
    ],
)
def test_wrong_configurations_say_what_is_wrong(
    store: Store, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        fit(_config(store, tmp_path, text=TOML.replace(*change)), tmp_path / "run", device="cpu")
