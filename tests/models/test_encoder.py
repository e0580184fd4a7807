from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional as F

from histocerb.core.errors import UsageError
from histocerb.models.config import NETWORKS, STRIDE, EncoderConfig, NetworkConfig
from histocerb.models.encoder import make_encoder

BOTTLENECK = EncoderConfig((2, 1, 1, 1), (16, 64, 64, 128, 128), block="bottleneck")
UNET = EncoderConfig((1, 2, 1, 1), (16, 16, 32, 32, 48), kind="unet")
STATE = dict[str, Tensor]


@pytest.mark.parametrize("config", [*(n.encoder for n in NETWORKS.values()), BOTTLENECK, UNET])
def test_features_have_the_strides_and_widths_that_are_promised(config: EncoderConfig) -> None:
    with torch.device("meta"):
        features = make_encoder(config)(torch.zeros(2, 3, 64, 96))
    strides = [config.stem_stride * 2**level for level in range(len(features))]
    assert strides[-1] == STRIDE
    expected = [(2, w, 64 // s, 96 // s) for w, s in zip(config.widths, strides, strict=True)]
    assert [tuple(feature.shape) for feature in features] == expected


@pytest.mark.parametrize(
    ("name", "published", "classifier"),
    [("resnet18", 11_689_512, 512), ("resnet34", 21_797_672, 512), ("resnet50", 25_557_032, 2048)],
)
def test_resnets_have_the_published_number_of_parameters(name: str, published: int, classifier: int) -> None:
    with torch.device("meta"):
        encoder = make_encoder(NETWORKS[name].encoder)
    assert sum(p.numel() for p in encoder.parameters()) == published - (classifier + 1) * 1000


def _random(config: EncoderConfig) -> tuple[torch.nn.Module, STATE]:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder(config).eval()
    for value in encoder.state_dict().values():
        if value.is_floating_point():
            fan = max(1, value[0].numel())
            value.copy_((torch.rand(value.shape, generator=generator) + 0.1) / fan)
    return encoder, encoder.state_dict()


def _norm(state: STATE, key: str, x: Tensor) -> Tensor:
    mean, var, scale, shift = (
        state[f"{key}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * scale + shift


def test_bottlenecks_are_those_of_resnet_50() -> None:
    encoder, state = _random(BOTTLENECK)
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    out = F.relu(_norm(state, "bn1", F.conv2d(images, state["conv1.weight"], padding=3)))
    expected = [out]
    out = F.max_pool2d(out, 3, 2, 1)
    for stage, count in enumerate(BOTTLENECK.blocks):
        for block in range(count):
            key, stride = f"stages.{stage}.{block}", 2 if stage > 0 and block == 0 else 1
            inner = F.relu(_norm(state, f"{key}.bn1", F.conv2d(out, state[f"{key}.conv1.weight"])))
            inner = F.conv2d(inner, state[f"{key}.conv2.weight"], stride=stride, padding=1)
            inner = F.conv2d(F.relu(_norm(state, f"{key}.bn2", inner)), state[f"{key}.conv3.weight"])
            if f"{key}.downsample.0.weight" in state:
                short = F.conv2d(out, state[f"{key}.downsample.0.weight"], stride=stride)
                out = _norm(state, f"{key}.downsample.1", short)
            out = F.relu(_norm(state, f"{key}.bn3", inner) + out)
        expected.append(out)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images), expected)


def test_the_u_net_is_pairs_of_convolutions_with_pooling_between() -> None:
    encoder, state = _random(UNET)
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    out, expected = images, []
    for level, pairs in enumerate((1, *UNET.blocks)):
        out = F.max_pool2d(out, 2) if level else out
        for block in range(2 * pairs):
            key = f"levels.{level}.{block}"
            out = F.conv2d(out, state[f"{key}.conv.weight"], state[f"{key}.conv.bias"], padding=1)
            out = F.relu(_norm(state, f"{key}.bn", out))
        expected.append(out)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images), expected)


def test_descriptions_from_before_the_other_encoders_load() -> None:
    old = {
        "encoder": {"blocks": [2, 3, 4], "widths": [32, 48, 96, 192], "stem_stride": 2},
        "head_width": 48,
        "patch_width": 96,
        "dropout": 0.3,
    }
    encoder = EncoderConfig(blocks=(2, 3, 4), widths=(32, 48, 96, 192), stem_stride=2)
    light = NetworkConfig(encoder, head_width=48, patch_width=96)
    assert TypeAdapter(NetworkConfig).validate_python(old) == light


@pytest.mark.parametrize("name", NETWORKS)
def test_descriptions_are_read_as_they_were_written(name: str) -> None:
    adapter = TypeAdapter(NetworkConfig)
    assert adapter.validate_json(adapter.dump_json(NETWORKS[name])) == NETWORKS[name]


def test_impossible_networks_are_refused() -> None:
    with pytest.raises(UsageError, match="multiples of 64, got 96"):
        EncoderConfig((1, 1, 1, 1), (16, 64, 64, 96, 128), block="bottleneck")
    with pytest.raises(UsageError, match="multiples of 16, got 24"):
        EncoderConfig((1, 1, 1, 1), (16, 24, 64, 96, 128), kind="unet")
    with pytest.raises(UsageError, match=r"unet encoder has stem stride 1.*stride 2"):
        EncoderConfig((1, 1, 1), (16, 16, 16, 16), stem_stride=2, kind="unet")
    with pytest.raises(UsageError, match="block bottleneck; leave both out"):
        EncoderConfig((1, 1, 1, 1), (64,) * 5, kind="unet", block="bottleneck")
    with pytest.raises(UsageError, match=r"at least 1 block, got \[1, 0, 1\]"):
        EncoderConfig((1, 0, 1), (16, 16, 16, 16), stem_stride=2)
    with pytest.raises(UsageError, match="need 4 widths, got 3"):
        NetworkConfig(decoder_widths=(64, 64, 64))
    with pytest.raises(UsageError, match="decoder widths must be multiples of 16, got 40"):
        NetworkConfig(decoder_widths=(64, 64, 40, 64))
