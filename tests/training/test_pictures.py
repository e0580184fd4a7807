from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from histocerb.core.config_file import validated
from histocerb.core.tasks import CERBERUS
from histocerb.data.pictures import TARGET_COLOURS
from histocerb.models.network import Network
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig
from histocerb.training.pictures import batch_picture
from histocerb.training.stage import Place, stage_batches


@pytest.fixture
def network(recipe: dict[str, Any]) -> Network:
    return first_network(_config(recipe, [head.name for head in CERBERUS.heads]))


def _config(recipe: dict[str, Any], heads: list[str]) -> TrainConfig:
    return validated(recipe | {"stages": [{"heads": heads, "steps": 20}]}, TrainConfig, "recipe")


@pytest.mark.parametrize("heads", [["nuclei.instance", "nuclei.type"], ["tissue.patch"]], ids=str)
def test_a_row_per_head_with_truth_in_its_colours(
    recipe: dict[str, Any], network: Network, place: Place, heads: list[str]
) -> None:
    config = _config(recipe, heads)
    batch = next(iter(stage_batches(network, config, place)))
    picture = batch_picture(network, batch)
    side = batch.images.shape[-1]
    assert picture.shape[0] > len(heads) * side
    crop = batch.images[0].permute(1, 2, 0).numpy()
    assert any(
        np.array_equal(picture[row : row + side, 6 : 6 + side], crop)
        for row in range(picture.shape[0] - side + 1)
    )
    inside = (picture == TARGET_COLOURS[1]).all(axis=2).any()
    assert inside == ("nuclei.instance" in heads)


def test_drawing_changes_nothing(recipe: dict[str, Any], network: Network, place: Place) -> None:
    config = _config(recipe, ["gland.instance"])
    batch = next(iter(stage_batches(network, config, place)))
    network.train()
    before, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    batch_picture(network, batch)
    assert network.training
    assert network.encoder.training
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
