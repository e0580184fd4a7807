from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from histocerb.core.errors import CheckpointError, UsageError
from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.models.checkpoint import SPEC_FILE, load_checkpoint, save_checkpoint
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.models.decoder import PixelDecoder
from histocerb.models.network import Network, module_name

TINY = NetworkConfig(
    EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16, 32), stem_stride=2), head_width=8, patch_width=8
)
UNET = NetworkConfig(
    EncoderConfig((1, 1, 1, 1), (16, 32, 48, 64, 80), kind="unet"), 8, 8, decoder_widths=(16, 16, 32, 32)
)
BOTTLENECK = NetworkConfig(
    EncoderConfig((1, 1, 1, 1), (16, 64, 64, 64, 128), block="bottleneck"), 8, 8, decoder_widths=(16,) * 4
)
PIXELS = [head.name for head in CERBERUS.heads if head.kind is not HeadKind.PATCH]
PATCH = next(head.name for head in CERBERUS.heads if head.kind is HeadKind.PATCH)
TYPE, INSTANCE, GLAND_TYPE = "nuclei.type", "nuclei.instance", "gland.type"
BRANCHED = replace(TINY, branches={TYPE: INSTANCE, GLAND_TYPE: "gland.instance"})
DETAILED = replace(TINY, detail=(INSTANCE,))


def _network(config: NetworkConfig) -> Network:
    torch.manual_seed(0)
    return Network(CERBERUS, config).eval()


def _detailed() -> Network:
    """As after some training: what the detail sees counts."""
    network = _network(DETAILED)
    decoder = network.decoders[module_name(INSTANCE)]
    assert isinstance(decoder, PixelDecoder)
    assert decoder.detail is not None
    for lateral in decoder.detail.laterals:
        assert isinstance(lateral, nn.Conv2d)
        nn.init.normal_(lateral.weight)
    return network


def _images(side: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 255


@pytest.mark.parametrize("config", [TINY, BRANCHED, UNET, BOTTLENECK, DETAILED])
def test_every_network_has_maps_of_every_head_and_learns_everywhere(config: NetworkConfig) -> None:
    network = _detailed() if config is DETAILED else _network(config)
    logits = network(_images(144))
    for head in CERBERUS.heads:
        size = (1, 1) if head.kind is HeadKind.PATCH else (144, 144)
        assert logits[head.name].shape == (2, len(head.channels), *size)
    torch.stack([(value**2).sum() for value in logits.values()]).sum().backward()
    untouched = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not untouched


def test_sub_pixel_heads_put_each_logit_at_its_place() -> None:
    network = _network(replace(TINY, subpixel=True))
    decoder = network.decoders[module_name(INSTANCE)]
    assert isinstance(decoder, PixelDecoder)
    last = decoder.head[1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.zeros_(last.weight)
    with torch.inference_mode():
        last.bias.copy_(torch.arange(12.0))
        logits = network(_images())[INSTANCE]
    tile = torch.arange(12.0).reshape(3, 2, 2)
    assert torch.equal(logits[0], tile.repeat(1, 32, 32))


def test_sub_pixel_heads_need_a_stem_that_halves() -> None:
    with pytest.raises(UsageError, match="stem of stride 2, got 1"):
        replace(UNET, subpixel=True)


def test_laterals_bring_features_to_the_width_of_the_decoder() -> None:
    """As a decoder without them sees features that were brought to its width before."""
    network = _network(UNET)
    decoder = network.decoders[module_name(INSTANCE)]
    assert isinstance(decoder, PixelDecoder)
    narrow = PixelDecoder(replace(UNET, encoder=replace(UNET.encoder, widths=(16, 16, 32, 32, 80))), 3).eval()
    assert not list(narrow.laterals.parameters())
    own = {key: v for key, v in decoder.state_dict().items() if not key.startswith("laterals.")}
    narrow.load_state_dict(own)
    with torch.inference_mode():
        features = network.encode(_images())
        finest_last = zip(decoder.laterals, features.levels[-2::-1], strict=True)
        brought = [lateral(level) for lateral, level in finest_last][::-1]
        expected = narrow(narrow.trunk(features.projected, [*brought, features.levels[-1]], features.images))
        got = network.decode(INSTANCE, features)
    torch.testing.assert_close(got, expected)
    assert [type(lateral) for lateral in decoder.laterals] == [nn.Conv2d, nn.Conv2d, nn.Conv2d, nn.Identity]


def test_a_decoder_that_is_given_detail_begins_where_it_was() -> None:
    plain, detailed = _network(TINY), _network(DETAILED)
    detailed.load_state_dict(detailed.state_dict() | plain.state_dict())
    with torch.inference_mode():
        before, after, learned = plain(_images()), detailed(_images()), _detailed()(_images())
    for name in before:
        assert torch.equal(before[name], after[name]), name
    assert not torch.allclose(learned[INSTANCE], after[INSTANCE])


def test_detail_sees_each_image_of_a_batch_where_it_is() -> None:
    """Of the samples that have a label, too, and no further than its blocks reach."""
    network, images = _detailed(), _images(128)
    changed = images.clone()
    changed[1, :, 64:66, 64:66] = 255 - changed[1, :, 64:66, 64:66]
    with torch.inference_mode():
        features, others = network.encode(images), network.encode(changed)
        mixed = features._replace(images=others.images)
        some = torch.tensor([1])
        before, after = (network.decode(INSTANCE, each) for each in (features, mixed))
        torch.testing.assert_close(network.decode(INSTANCE, mixed.select(some)), after[some])
    rows, columns = (after[1] != before[1]).any(0).nonzero().unbind(1)
    assert torch.equal(after[0], before[0])
    for places in (rows, columns):
        assert 64 in places
        assert places.min() >= 64 - 48
        assert places.max() <= 65 + 48


@pytest.mark.parametrize("name", ["nowhere", PATCH])
def test_detail_of_what_has_no_decoder_of_pixels_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"detail is for pixel heads .*found '{name}'"):
        Network(CERBERUS, replace(TINY, detail=(name,)))


def test_detail_of_a_branch_and_behind_a_fine_stem_is_refused() -> None:
    with pytest.raises(UsageError, match=f"found '{TYPE}'"):
        Network(CERBERUS, replace(BRANCHED, detail=(TYPE,)))
    with pytest.raises(UsageError, match="detail heads need a stem of stride 2, got 1"):
        replace(UNET, detail=(INSTANCE,))


def test_a_branch_is_a_layer_on_the_other_decoder() -> None:
    network = _network(BRANCHED)
    decoder, branch = (network.decoders[module_name(name)] for name in (INSTANCE, TYPE))
    assert isinstance(decoder, PixelDecoder)
    assert {key.split(".")[0] for key in branch.state_dict()} == {"head"}
    with torch.inference_mode():
        features = network.encode(_images())
        trunk = decoder.trunk(features.projected, features.levels, features.images)
        torch.testing.assert_close(network.decode(TYPE, features), branch(trunk))
        whole = network(_images())
        for name in PIXELS:
            torch.testing.assert_close(whole[name], network.decode(name, features))
        alone = network(_images(), heads=[TYPE])
    assert list(alone) == [TYPE]
    torch.testing.assert_close(alone[TYPE], whole[TYPE])


def test_a_whole_pass_runs_each_decoder_once() -> None:
    network = _network(BRANCHED)
    runs: dict[str, int] = {}
    for name in (INSTANCE, "gland.instance", "lumen.instance"):
        decoder = network.decoders[module_name(name)]
        assert isinstance(decoder, PixelDecoder)
        decoder.steps[0].register_forward_hook(
            lambda *_, name=name: runs.update({name: runs.get(name, 0) + 1})
        )
    with torch.inference_mode():
        network(_images())
    assert runs == {INSTANCE: 1, "gland.instance": 1, "lumen.instance": 1}


def test_a_branch_learns_alone() -> None:
    network = _network(BRANCHED).requires_grad_(False)
    branch = network.decoders[module_name(TYPE)].requires_grad_(True).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(branch.parameters(), lr=1.0)
    network.decode(TYPE, network.encode(_images())).square().mean().backward()
    optimizer.step()
    moved = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {key for key in before if key.startswith(f"decoders.{module_name(TYPE)}.")}


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({"nuclei.typ": INSTANCE}, r"pixel heads of the tasks \(nuclei\.instance.*found 'nuclei\.typ'"),
        ({TYPE: "nowhere"}, "found 'nowhere'"),
        ({TYPE: PATCH}, "found 'tissue.patch'"),
        ({PATCH: INSTANCE}, "found 'tissue.patch'"),
        ({TYPE: TYPE}, "'nuclei.type' on itself"),
        ({TYPE: INSTANCE, INSTANCE: "gland.instance"}, "on 'nuclei.instance', which is a branch of 'gland"),
    ],
)
def test_impossible_branches_are_refused(branches: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Network(CERBERUS, replace(TINY, branches=branches))


@pytest.mark.parametrize("config", [BRANCHED, UNET, BOTTLENECK, DETAILED])
def test_checkpoints_keep_what_the_network_is_made_of(config: NetworkConfig, tmp_path: Path) -> None:
    network = _network(config)
    save_checkpoint(tmp_path, network)
    loaded = load_checkpoint(tmp_path).network
    assert loaded.config == config
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_checkpoints_with_impossible_branches_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _network(BRANCHED))
    path = tmp_path / SPEC_FILE
    path.write_text(path.read_text().replace(f'"{TYPE}": "{INSTANCE}"', f'"{TYPE}": "{PATCH}"'))
    with pytest.raises(CheckpointError, match=r"does not describe a network: branches.*tissue\.patch"):
        load_checkpoint(tmp_path)
