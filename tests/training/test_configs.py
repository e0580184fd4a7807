from __future__ import annotations

from pathlib import Path

import pytest

from histocerb.core.config_file import read_config
from histocerb.core.tasks import PRESETS
from histocerb.models.network import Network
from histocerb.training.config import TrainConfig
from histocerb.training.fit import network_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.toml"))


def test_there_are_configurations() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_describes_a_network(path: Path) -> None:
    config = read_config(path, TrainConfig)
    network = Network(PRESETS[config.tasks], network_config(config.network))
    known = {head.name for head in network.spec.heads}
    assert {name for stage in config.stages for name in stage.heads} <= known
    assert set(config.loss_weights) <= known
