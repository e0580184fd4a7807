from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from types import ModuleType

import pytest
import torch

from histocerb.core.errors import CheckpointError
from histocerb.models.config import NETWORKS
from histocerb.models.network import Network
from histocerb.models.released import import_released
from histocerb.models.torch_file import read_torch_file


def _reference() -> ModuleType:
    path = Path(__file__).with_name("released_reference.py")
    spec = importlib.util.spec_from_file_location("released_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _reference()


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return reference.random_state()


def _save(state: dict[str, torch.Tensor], path: Path, *, prefix: str = "", legacy: bool = False) -> Path:
    document = {"desc": {prefix + key: value for key, value in state.items()}}
    torch.save(document, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize(("prefix", "legacy"), [("", False), ("module.", True)])
def test_released_weights_compute_the_released_numbers(
    state: dict[str, torch.Tensor], tmp_path: Path, prefix: str, legacy: bool
) -> None:
    network = import_released(_save(state, tmp_path / "weights.tar", prefix=prefix, legacy=legacy))
    images = torch.rand(1, 3, 144, 144, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        ours, theirs = network(images), reference.forward(state, images)
    for name, logits in theirs.items():
        got = ours[name].flatten(1) if name == "tissue.patch" else ours[name]
        torch.testing.assert_close(got.softmax(1), logits.softmax(1), atol=1e-4, rtol=0)


def test_tissue_cells_of_448_and_1312_windows_begin_at_feature_9(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    network = import_released(_save(state, tmp_path / "weights.tar"))
    images = torch.rand(1, 3, 448, 448, generator=torch.Generator().manual_seed(2)) * 255
    name = "tissue.patch"
    with torch.inference_mode():
        features = network.encode(images)
        cell, grid = (network.decode(name, features, margin_px) for margin_px in (152, 0))
        expected = network.decoders["tissue_patch"](features.levels[-1][:, :, 9:18, 9:18], 0)
    with torch.device("meta"):
        wide = Network(network.spec, network.config)(torch.zeros(1, 3, 1312, 1312), 152, heads=[name])[name]
    assert cell.shape == (1, 9, 1, 1)
    assert grid.shape == (1, 9, 3, 3)
    assert wide.shape == (1, 9, 7, 7)
    torch.testing.assert_close(cell, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(cell[..., 0, 0], grid[..., 1, 1], rtol=1e-4, atol=1e-4)


def test_settings_name_the_encoder(tmp_path: Path) -> None:
    state = reference.random_state(depth=18)
    weights = _save(state, tmp_path / "weights.tar")
    settings = tmp_path / "settings.yml"
    settings.write_text("model_kwargs:\n  encoder_backbone_name: resnet18\n")
    assert import_released(weights, settings).config == NETWORKS["resnet18"]
    with pytest.raises(CheckpointError, match=r"encoder\.stages\.0\.2\.conv1\.weight"):
        import_released(weights)


def test_first_mismatching_key_is_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    wrong = dict(state)
    wrong["conv_map.weight"] = torch.zeros(256, 512, 3, 3)
    with pytest.raises(CheckpointError, match=r"project\.weight.*\[256, 512, 1, 1\].*\[256, 512, 3, 3\]"):
        import_released(_save(wrong, tmp_path / "a.tar"))
    with pytest.raises(CheckpointError, match=r"unknown key 'extra\.weight'"):
        import_released(_save({**state, "extra.weight": torch.zeros(1)}, tmp_path / "b.tar"))


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("legacy", [False, True])
def test_pickle_bomb_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"desc": _Bomb()}, "bomb.tar", _use_new_zipfile_serialization=not legacy)
    Path("plain.pkl").write_bytes(pickle.dumps({"desc": _Bomb()}))
    for name in ("bomb.tar", "plain.pkl"):
        with pytest.raises(CheckpointError):
            import_released(Path(name))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"])
def test_damaged_files_give_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.tar"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.tar"):
        import_released(path)
    with pytest.raises(CheckpointError, match="no file"):
        import_released(tmp_path / "absent.tar")


@pytest.mark.parametrize("legacy", [False, True])
def test_files_that_were_cut_off_give_one_sentence(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "weights.tar"
    torch.save({"desc": {"a": torch.zeros(3, 4)}}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for size in range(0, len(whole) // 2, 1 if legacy else 50):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"is truncated|is refused"):
            read_torch_file(path)


def test_other_state_dicts_are_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"'desc'.*conv1\.weight"):
        import_released(tmp_path / "resnet.pth")
