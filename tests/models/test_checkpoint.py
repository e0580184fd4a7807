from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from histocerb.core.errors import CheckpointError, OutputError, UsageError
from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.models.checkpoint import SPEC_FILE, WEIGHTS_FILE, load_checkpoint, save_checkpoint
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.models.network import Network

TINY = NetworkConfig(
    EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16, 32), stem_stride=2), head_width=8, patch_width=8
)


def _network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(CERBERUS, TINY).eval()


def test_round_trip(tmp_path: Path) -> None:
    network = _network()
    digest = save_checkpoint(tmp_path / "m", network, {"data": "none"})
    loaded = load_checkpoint(tmp_path / "m")
    assert (loaded.name, loaded.sha256, loaded.facts) == ("m", digest, {"data": "none"})
    assert loaded.network.spec == CERBERUS
    assert loaded.network.config == TINY
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], value)


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    network = _network()
    save_checkpoint(tmp_path / "full", network)
    save_checkpoint(tmp_path / "half", network, half=True)
    sizes = [(tmp_path / name / WEIGHTS_FILE).stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.8 * sizes[0]
    loaded = load_checkpoint(tmp_path / "half").network
    assert loaded.project.weight.dtype == torch.float32
    torch.testing.assert_close(loaded.project.weight, network.project.weight, atol=1e-3, rtol=1e-3)


def test_swapped_weights_are_noticed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", _network(0))
    save_checkpoint(tmp_path / "b", _network(1))
    (tmp_path / "a" / WEIGHTS_FILE).write_bytes((tmp_path / "b" / WEIGHTS_FILE).read_bytes())
    with pytest.raises(CheckpointError, match="sha256"):
        load_checkpoint(tmp_path / "a")


def test_truncated_weights_and_bad_descriptions(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _network())
    weights, spec = tmp_path / WEIGHTS_FILE, tmp_path / SPEC_FILE
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, _network())
    document = json.loads(spec.read_text())
    spec.write_text(json.dumps({**document, "network": {"encoder": {"blocks": [1]}}}))
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load_checkpoint(tmp_path)
    spec.write_text("{}")
    with pytest.raises(CheckpointError, match="not a checkpoint description"):
        load_checkpoint(tmp_path)


def test_what_cannot_be_written_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"found .*file failing \(File exists\); free space"):
        save_checkpoint(tmp_path / "file", _network())

    def full(partial: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("histocerb.models.checkpoint.os.replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        save_checkpoint(tmp_path / "model", _network())
    assert list((tmp_path / "model").iterdir()) == []


def test_unknown_names_list_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model 'nowhere'"):
        load_checkpoint("nowhere")
    (tmp_path / "weights.tar").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="histocerb model import"):
        load_checkpoint(tmp_path / "weights.tar")


def test_every_head_has_the_resolution_of_its_kind() -> None:
    with torch.inference_mode():
        logits = _network()(torch.zeros(2, 3, 448, 464), margin_px=152)
    for head in CERBERUS.heads:
        size = (1, 1) if head.kind is HeadKind.PATCH else (448, 464)
        assert logits[head.name].shape == (2, len(head.channels), *size)


def test_images_below_a_tissue_cell_have_no_cells() -> None:
    with torch.inference_mode():
        logits = _network()(torch.zeros(1, 3, 64, 160))
    assert logits["tissue.patch"].shape == (1, 9, 0, 0)
    assert logits["nuclei.instance"].shape == (1, 3, 64, 160)


def test_wrong_sides_propose_the_padded_size() -> None:
    with pytest.raises(UsageError, match="pad to 464 x 448"):
        _network()(torch.zeros(1, 3, 450, 448))


def test_impossible_encoders_are_refused() -> None:
    with pytest.raises(UsageError, match="stride 16"):
        EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16, 16), stem_stride=1)
    with pytest.raises(UsageError, match="4 widths"):
        EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16), stem_stride=2)
    with pytest.raises(UsageError, match="multiples of 16, got 24"):
        EncoderConfig(blocks=(1, 1, 1), widths=(16, 24, 32, 32), stem_stride=2)
