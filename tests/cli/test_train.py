"""`histocerb train`: a run, and what it would take."""

import re

import numpy as np
import pytest

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.data.convert import convert
from histocerb.data.sources.entry import as_entries

TOML = """
name = "tiny"
store = "{store}"
workers = 0
validation = {{ images = 1 }}
stages = [{{ heads = ["gland.instance"], steps = 4 }}]
sampler = {{ batch_size = 2 }}
crops = {{ crop_px = 48 }}
[network]
head_width = 8
encoder = {{ blocks = [1, 1, 1], widths = [16, 16, 16, 32], stem_stride = 2 }}
"""


def _samples():
    rng = np.random.default_rng(0)
    for name in "abcdef":
        image = rng.integers(0, 255, (96, 96, 3)).astype(np.uint8)
        ids = np.zeros((96, 96), np.int32)
        ids[20:60, 20:60] = 1
        yield Sample(image, 0.5, {"gland": ObjectLabels(ids)}, source="squares", patient=name, name=name)


@pytest.fixture
def config(tmp_path):
    convert(as_entries(_samples()), tmp_path / "store")
    path = tmp_path / "run.toml"
    path.write_text(TOML.format(store=(tmp_path / "store").as_posix()))
    return path


def test_dry_run_prints_the_cost_and_writes_nothing(cli, config, tmp_path):
    shown = cli("train", config, "--out", tmp_path / "run", "--device", "cpu", "--dry-run")
    assert shown.code == 0
    assert re.search(r"^[\d,]+ parameters$", shown.out, re.M)
    assert re.search(r"^stage +learning +GFLOP/step +MB +steps/s +steps +left$", shown.out, re.M)
    assert re.search(r"^ *1 +[\d,]+ +[\d.]+ +\d+ +[\d.]+ +4 +0:00:\d\d$", shown.out, re.M)
    assert "without validation" in shown.out
    assert not (tmp_path / "run").exists()


def test_a_run_says_where_its_checkpoint_is(cli, config, tmp_path):
    shown = cli("train", config, "--out", tmp_path / "run", "--device", "cpu")
    assert shown.code == 0
    assert f"checkpoint written to {tmp_path / 'run' / 'model'}" in shown.out
    assert "step 4/4  gland.instance" in shown.err


def test_a_wrong_device_is_one_sentence(cli, config, tmp_path):
    shown = cli("train", config, "--out", tmp_path / "run", "--device", "tpu")
    assert shown.code == 2
    assert "expected the device auto, cpu" in shown.err
    assert not (tmp_path / "run").exists()
