from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional as F

from histocerb.core.errors import UsageError
from histocerb.models.config import NETWORKS, STRIDE, EncoderConfig, NetworkConfig
from histocerb.models.efficientnet import InvertedResidual
from histocerb.models.encoder import make_encoder

LITE0 = NETWORKS["lite0"].encoder
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


def test_efficientnet_lite0_has_the_published_number_of_parameters() -> None:
    """But for the classifier (1280 to 1000 classes), the last convolution and the block of 320 channels."""
    with torch.device("meta"):
        encoder = make_encoder(LITE0)
    theirs = [p.numel() for name, p in encoder.named_parameters() if not name.startswith("fine.")]
    block = 192 * 1152 + 2 * 1152 + 9 * 1152 + 2 * 1152 + 1152 * 320 + 2 * 320
    assert sum(theirs) == 4_652_008 - block - (320 * 1280 + 2 * 1280) - 1281 * 1000


def _random(config: EncoderConfig) -> tuple[torch.nn.Module, STATE]:
    generator = torch.Generator().manual_seed(0)
    encoder = make_encoder(config).eval()
    for value in encoder.state_dict().values():
        if value.is_floating_point():
            fan = max(1, value[0].numel())
            value.copy_((torch.rand(value.shape, generator=generator) + 0.1) / fan)
    return encoder, encoder.state_dict()


def _norm(state: STATE, key: str, x: Tensor, epsilon: float = 1e-5) -> Tensor:
    mean, var, scale, shift = (
        state[f"{key}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + epsilon).sqrt() * scale + shift


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


# Tan and Le 2019, table 1, strides as used here: blocks, channels, kernel, stride, dilation
STAGES = [(1, 16, 3, 1, 1), (2, 24, 3, 2, 1), (2, 40, 5, 2, 1), (3, 80, 3, 2, 1), (3, 112, 5, 1, 1)]
STAGES.append((4, 192, 5, 1, 2))


def _depthwise(state: STATE, key: str, x: Tensor, stride: int, dilation: int) -> Tensor:
    weight = state[f"{key}.weight"]
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=len(weight))


def _inverted_residual(state: STATE, key: str, x: Tensor, stride: int, dilation: int) -> Tensor:
    out = F.relu6(_norm(state, f"{key}.bn1", F.conv2d(x, state[f"{key}.conv_pw.weight"]), 1e-3))
    out = _depthwise(state, f"{key}.conv_dw", out, stride, dilation)
    out = F.relu6(_norm(state, f"{key}.bn2", out, 1e-3))
    out = _norm(state, f"{key}.bn3", F.conv2d(out, state[f"{key}.conv_pwl.weight"]), 1e-3)
    return out + x if out.shape == x.shape else out


def test_efficientnet_lite0_is_that_of_the_paper_with_pixels_beside_its_first_block() -> None:
    encoder, state = _random(LITE0)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    x = 2 * images - 1
    fine = F.pixel_unshuffle(x, 2)
    for key in ("fine.1", "fine.2"):
        fine = F.conv2d(fine, state[f"{key}.conv.weight"], state[f"{key}.conv.bias"], padding=1)
        fine = F.relu(_norm(state, f"{key}.bn", fine))
    out = F.relu6(_norm(state, "bn1", F.conv2d(x, state["conv_stem.weight"], stride=2, padding=1), 1e-3))
    expected = []
    for stage, (count, width, kernel, stride, dilation) in enumerate(STAGES):
        for block in range(count):
            key = f"blocks.{stage}.{block}"
            if stage == 0:
                out = _depthwise(state, f"{key}.conv_dw", out, 1, 1)
                out = F.conv2d(F.relu6(_norm(state, f"{key}.bn1", out, 1e-3)), state[f"{key}.conv_pw.weight"])
                out = _norm(state, f"{key}.bn2", out, 1e-3)
            elif block == 0:
                expected += [out] if stride == 2 else []
                out = _inverted_residual(state, key, out, stride, 1)
            else:
                out = _inverted_residual(state, key, out, 1, dilation)
            assert state[f"{key}.conv_dw.weight"].shape[-1] == kernel
        assert out.shape[1] == width
    expected[0] = torch.cat([expected[0], fine], 1)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images), [*expected, out])


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
    with pytest.raises(UsageError, match=r"unet encoder has stem stride 1.*stride 2 and block basic"):
        EncoderConfig((1, 1, 1), (16, 16, 16, 16), stem_stride=2, kind="unet")
    with pytest.raises(UsageError, match="block bottleneck; change them"):
        EncoderConfig((1, 1, 1, 1), (64,) * 5, kind="unet", block="bottleneck")
    with pytest.raises(UsageError, match=r"efficientnet encoder has stem stride 2.*stride 1"):
        EncoderConfig((2, 2, 10), (32, 24, 40, 192), kind="efficientnet")
    with pytest.raises(UsageError, match=r"lite0 has blocks \[2, 2, 10\].*\[24, 40, 192\]; got \[2, 2, 9\]"):
        EncoderConfig((2, 2, 9), (32, 24, 40, 192), stem_stride=2, kind="efficientnet")
    with pytest.raises(UsageError, match=r"at least 1 block, got \[1, 0, 1\]"):
        EncoderConfig((1, 0, 1), (16, 16, 16, 16), stem_stride=2)
    with pytest.raises(UsageError, match="need 4 widths, got 3"):
        NetworkConfig(decoder_widths=(64, 64, 64))
    with pytest.raises(UsageError, match="decoder widths must be multiples of 16, got 40"):
        NetworkConfig(decoder_widths=(64, 64, 40, 64))


@pytest.mark.parametrize("shape", [(6, 8), (5, 8), (6, 7)])
def test_dilated_blocks_say_and_learn_the_same_in_training(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = InvertedResidual(8, 8, 5, dilation=2).train()
    given = torch.randn(2, 8, *shape).to(memory_format=torch.channels_last)
    out = block(given)
    out.square().sum().backward()
    gradient = block.conv_dw.weight.grad
    inner = F.relu6(block.bn1(block.conv_pw(given)))
    weight = block.conv_dw.weight.detach().clone().requires_grad_()
    plain = F.conv2d(inner, weight, padding=4, dilation=2, groups=48)
    expected = block.bn3(block.conv_pwl(F.relu6(block.bn2(plain)))) + given
    expected.square().sum().backward()
    assert gradient is not None
    assert weight.grad is not None
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(gradient, weight.grad, rtol=1e-3, atol=1e-3)
