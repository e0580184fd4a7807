from __future__ import annotations

import pytest
import torch

from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.models.config import NETWORKS, EncoderConfig, NetworkConfig
from histocerb.models.cost import multiply_adds, parameters
from histocerb.models.network import Network

TINY = NetworkConfig(
    EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16, 32), stem_stride=2), head_width=8, patch_width=8
)
INSTANCE = "nuclei.instance"
PATCH = next(head.name for head in CERBERUS.heads if head.kind is HeadKind.PATCH)
ENCODER = {
    2: 49 * 3 * 16,
    4: 2 * 9 * 16 * 16,
    8: 2 * 9 * 16 * 16 + 16 * 16,
    16: 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 32 * 16,
}
"""Weights of the convolutions of encoder and projection that run at each stride."""
DECODER = {8: 2 * 9 * 16 * 16, 4: 2 * 9 * 16 * 16, 2: 2 * 9 * 16 * 16 + 16 * 8 + 8 * 3}


def _by_hand(side: int, *parts: dict[int, int]) -> int:
    return sum(weights * (side // stride) ** 2 for part in parts for stride, weights in part.items())


@pytest.mark.parametrize("side", [64, 144])
def test_multiply_adds_are_weights_times_places(side: int) -> None:
    network = Network(CERBERUS, TINY)
    assert multiply_adds(network, side, [INSTANCE]) == _by_hand(side, ENCODER, DECODER)
    cells = 32 * 8 + 8 * 9 if side == 144 else 0
    assert multiply_adds(network, side, [PATCH]) == _by_hand(side, ENCODER) + cells


def test_parameters_are_those_of_the_paper() -> None:
    """27.1 M, counted with an unused classifier of 1,000 classes and without subtyping of glands."""
    with torch.device("meta"):
        network = Network(CERBERUS, NETWORKS["resnet34"])
    paper = parameters(network) + 513 * 1000 - parameters(network.decoders["gland_type"])
    assert round(paper / 1e6, 1) == 27.1


def test_the_network_stays_as_it_was() -> None:
    network = Network(CERBERUS, TINY).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert multiply_adds(network, 64, [INSTANCE]) > 0
    assert network.training
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
