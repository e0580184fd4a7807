from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from histocerb.core.errors import CheckpointError, UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.models.config import NETWORKS, EncoderConfig, NetworkConfig
from histocerb.models.network import Network
from histocerb.models.pretrained import load_encoder

TINY = NetworkConfig(EncoderConfig((1, 2, 1), (16, 16, 16, 32), stem_stride=2), head_width=8, patch_width=8)
DEEP = replace(TINY, encoder=EncoderConfig((1, 1, 1, 1), (16, 64, 64, 64, 64), block="bottleneck"))
State = dict[str, Tensor]
Download = Callable[[str, str], str]


def _network(config: NetworkConfig = TINY, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(CERBERUS, config)


def _published(config: NetworkConfig = TINY) -> State:
    """A ResNet as published: torchvision's names, a stage more than the light network, a classifier."""
    state = {
        re.sub(r"^stages\.(\d)", lambda match: f"layer{int(match[1]) + 1}", key): value
        for key, value in _network(config, seed=1).encoder.state_dict().items()
    }
    return {**state, "layer9.0.conv1.weight": torch.zeros(8, 8, 3, 3), "fc.weight": torch.zeros(10, 8)}


def _assert_filled(network: Network, config: NetworkConfig = TINY) -> None:
    for key, value in _network(config, seed=1).encoder.state_dict().items():
        assert torch.equal(network.encoder.state_dict()[key], value), key


def test_torchvision_names_are_those_of_torchvision() -> None:
    """Spelled out, as the other tests derive them from ours."""
    basic, deep = set(_published()), set(_published(DEEP))
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer2.1.bn2.bias"} <= basic
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var"} <= basic
    assert {"layer1.0.conv3.weight", "layer4.0.bn3.weight", "layer1.0.downsample.0.weight"} <= deep


@pytest.mark.parametrize("config", [TINY, DEEP])
def test_torch_and_safetensors_files_fill_the_encoder(config: NetworkConfig, tmp_path: Path) -> None:
    state = _published(config)
    torch.save(state, tmp_path / "a.pth")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "b.tar")
    save_file(state, tmp_path / "c.safetensors")
    for name in ("a.pth", "b.tar", "c.safetensors"):
        network = _network(config)
        decoders = {key: value.clone() for key, value in network.decoders.state_dict().items()}
        load_encoder(network, tmp_path / name)
        _assert_filled(network, config)
        assert all(torch.equal(network.decoders.state_dict()[key], v) for key, v in decoders.items())


def test_old_files_without_counters_load(tmp_path: Path) -> None:
    old = {key: value for key, value in _published().items() if "num_batches" not in key}
    save_file(old, tmp_path / "old.safetensors")
    network = _network()
    load_encoder(network, str(tmp_path / "old.safetensors"))
    _assert_filled(network)


LITE0 = NetworkConfig(NETWORKS["lite0"].encoder, 16, 16, decoder_widths=(16, 16, 16), subpixel=True)

# what efficientnet_lite_pytorch calls the parts of its first block and of the others
FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
OTHERS = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
OTHERS |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}


def _numbered_through(state: State) -> State:
    """The names of efficientnet_lite_pytorch: 1, 2, 2, 3, 3, 4 blocks, numbered from 0 to 14."""
    renamed = {}
    for key, value in state.items():
        match key.split("."):
            case ["blocks", stage, block, part, *rest]:
                number = [0, 1, 3, 5, 8, 11][int(stage)] + int(block)
                part = (OTHERS if number else FIRST)[part]
                renamed[".".join(["_blocks", str(number), part, *rest])] = value
            case ["bn1", kind]:
                renamed[f"_bn0.{kind}"] = value
            case _:
                renamed[f"_{key}"] = value
    return renamed


def _lite0_file() -> State:
    found = _network(LITE0, seed=1).encoder.state_dict()
    return {key: value for key, value in found.items() if not key.startswith("fine.")}


@pytest.mark.parametrize("names", [dict, _numbered_through])
def test_efficientnet_lite0_is_filled_but_for_what_is_ours(
    names: Callable[[State], State], tmp_path: Path
) -> None:
    state = names(_lite0_file())
    assert ("_blocks.14._bn2.weight" in state) != ("blocks.5.3.bn3.weight" in state)
    torch.save({**state, "_bn1.weight": torch.zeros(9), "_fc.weight": torch.zeros(9)}, tmp_path / "a.pth")
    network = _network(LITE0)
    before = {key: value.clone() for key, value in network.encoder.state_dict().items()}
    load_encoder(network, tmp_path / "a.pth")
    for key, value in network.encoder.state_dict().items():
        kept = key.startswith("fine.")
        assert torch.equal(value, before[key] if kept else _lite0_file()[key]), key


def test_efficientnets_that_do_not_fit_are_refused_with_their_own_names(tmp_path: Path) -> None:
    state = _numbered_through(_lite0_file())
    state["_blocks.1._expand_conv.weight"] = torch.zeros(6, 6, 1, 1)
    torch.save(state, tmp_path / "wide.pth")
    with pytest.raises(CheckpointError, match=r"'_blocks\.1\._expand_conv\.weight' should have shape \[96"):
        load_encoder(_network(LITE0), tmp_path / "wide.pth")
    save_file(_published(), tmp_path / "resnet.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks 'conv_stem\.weight': expected the encoder"):
        load_encoder(_network(LITE0), tmp_path / "resnet.safetensors")


@pytest.mark.parametrize("names", [dict, _numbered_through])
def test_efficientnets_with_more_in_a_block_are_refused(
    names: Callable[[State], State], tmp_path: Path
) -> None:
    """As EfficientNet-B0, whose shapes are those of lite0 and whose blocks have squeeze-and-excitation."""
    state = names(_lite0_file())
    block = "_blocks.0." if "_conv_stem.weight" in state else "blocks.0.0."
    torch.save({**state, f"{block}se.weight": torch.zeros(8, 32, 1, 1)}, tmp_path / "b0.pth")
    with pytest.raises(CheckpointError, match=rf"found '{block}se\.weight', for which that has no place"):
        load_encoder(_network(LITE0), tmp_path / "b0.pth")


def test_deeper_efficientnets_are_refused(tmp_path: Path) -> None:
    """As lite1, of which each inner stage has a block more; stages that the encoder lacks are left out."""
    state = {**_lite0_file(), "blocks.6.0.conv_pw.weight": torch.zeros(9)}
    torch.save(state, tmp_path / "lite0.pth")
    load_encoder(_network(LITE0), tmp_path / "lite0.pth")
    torch.save({**state, "blocks.1.2.conv_pw.weight": torch.zeros(144, 24, 1, 1)}, tmp_path / "lite1.pth")
    with pytest.raises(CheckpointError, match=r"'blocks\.1\.2\.conv_pw\.weight', .* or a deeper one"):
        load_encoder(_network(LITE0), tmp_path / "lite1.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer2.1.conv1.weight": None}, r"wrong.safetensors lacks 'layer2\.1\.conv1\.weight'"),
        ({"conv1.weight": torch.zeros(16, 3, 3, 3)}, r"'conv1\.weight'.*\[16, 3, 7, 7\].*\[16, 3, 3, 3\]"),
        ({"layer1.1.conv1.weight": torch.zeros(16, 16, 3, 3)}, r"'layer1\.1\.conv1.*or a deeper one"),
    ],
)
def test_other_encoders_are_refused_with_their_own_names(
    change: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    state = {**_published(), **change}
    save_file({key: v for key, v in state.items() if v is not None}, tmp_path / "wrong.safetensors")
    network = _network()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_encoder(network, tmp_path / "wrong.safetensors")
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (Path.touch, (Path("exploded"),))


def test_files_that_are_not_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Bomb()}, "bomb.pth")
    Path("cut.safetensors").write_bytes(b"\x10")
    torch.save({"state_dict": 3}, "odd.pth")
    for name, message in [
        ("bomb.pth", "refused"),
        ("cut.safetensors", "not a safetensors file"),
        ("odd.pth", r"lacks 'conv1\.weight'"),
        ("absent.pth", "no file absent.pth"),
        ("absent.safetensors", "no file absent.safetensors"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            load_encoder(_network(), name)
    assert not Path("exploded").exists()


def test_a_u_net_has_no_published_weights(tmp_path: Path) -> None:
    unet = replace(TINY, encoder=EncoderConfig((1, 1, 1, 1), (16,) * 5, kind="unet"))
    with pytest.raises(UsageError, match="a network with a unet encoder"):
        load_encoder(_network(unet), tmp_path / "any.pth")


def _hub(monkeypatch: pytest.MonkeyPatch, download: Download | None) -> None:
    module = None if download is None else SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)


@pytest.mark.parametrize(
    ("source", "file"),
    [("hf:timm/resnet34.tv_in1k", "model.safetensors"), ("hf:timm/resnet34.tv_in1k/old/a.pth", "old/a.pth")],
)
def test_the_hub_is_asked_for_the_file(
    source: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    path = tmp_path / Path(file).name
    (save_file if path.suffix == ".safetensors" else torch.save)(_published(), path)

    def download(repository: str, name: str) -> str:
        asked.append((repository, name))
        return str(path)

    _hub(monkeypatch, download)
    network = _network()
    load_encoder(network, source)
    _assert_filled(network)
    assert asked == [("timm/resnet34.tv_in1k", file)]


def test_errors_of_the_hub_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(repository: str, name: str) -> str:
        raise OSError(f"cannot reach the hub for {repository}/{name}\nand much more")

    _hub(monkeypatch, offline)
    with pytest.raises(CheckpointError, match=r"hf:a/b cannot be fetched: cannot reach.*safetensors; check"):
        load_encoder(_network(), "hf:a/b")
    with pytest.raises(UsageError, match="expected hf:OWNER/NAME"):
        load_encoder(_network(), "hf:resnet34")
    _hub(monkeypatch, None)
    with pytest.raises(UsageError, match=r"histocerb\[hub\]"):
        load_encoder(_network(), "hf:a/b")
