from __future__ import annotations

from pathlib import Path

import pytest

from histocerb.core.config_file import read_document, validated
from histocerb.models.network import Network
from histocerb.training.begin import network_config, run_spec
from histocerb.training.config import TrainConfig

FILES = {path: read_document(path) for path in (Path(__file__).parents[2] / "configs").rglob("*.toml")}
RUNS = sorted(path for path, document in FILES.items() if "stages" in document)


def test_there_are_configurations() -> None:
    assert RUNS


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_every_shipped_run_describes_a_network(path: Path) -> None:
    config = validated(FILES[path], TrainConfig, str(path))
    if config.start_from is None and config.network != "resnet50":  # large, and tested by itself
        network = Network(run_spec(config), network_config(config.network))
        assert {head.name for head in network.spec.heads} == {
            name for stage in config.stages for name in stage.heads
        }
