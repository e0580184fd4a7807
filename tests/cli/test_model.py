import json

import pytest

from histocerb.core.tasks import CERBERUS
from histocerb.models.checkpoint import save_checkpoint
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.models.network import Network

TINY = NetworkConfig(EncoderConfig((1, 1, 1), (16, 16, 16, 16), stem_stride=2), head_width=16, patch_width=16)


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path / "tiny", Network(CERBERUS, TINY), {"data": "none at all"})
    return tmp_path / "tiny"


def test_info_names_heads_checksum_and_facts(cli, folder):
    shown = cli("model", "info", folder)
    assert shown.code == 0
    assert json.loads((folder / "spec.json").read_text())["weights_sha256"] in shown.out
    assert all(head.name in shown.out for head in CERBERUS.heads)
    assert "none at all" in shown.out


def test_unknown_model_is_one_line(cli, tmp_path):
    shown = cli("model", "info", tmp_path / "nothing")
    assert shown.code == 1
    assert len(shown.err.splitlines()) == 1


def test_list_names_packaged_models(cli, monkeypatch, folder):
    monkeypatch.setattr("histocerb.models.checkpoint.PACKAGED", folder.parent)
    assert cli("model", "list").out == "tiny\n"


def test_import_refuses_what_is_not_the_released_file(cli, tmp_path):
    (tmp_path / "weights.tar").write_bytes(b"nothing of the kind")
    shown = cli("model", "import", tmp_path / "weights.tar", "--out", tmp_path / "model")
    assert shown.code == 1
    assert "weights.tar" in shown.err
    assert not (tmp_path / "model").exists()


def test_import_writes_a_checkpoint(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "histocerb.models.released.import_released", lambda weights, settings: Network(CERBERUS, TINY)
    )
    shown = cli("model", "import", "weights.tar", "--out", tmp_path / "model")
    assert shown.code == 0
    assert cli("model", "info", tmp_path / "model").code == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "histocerb.models.released.import_released", lambda weights, settings: Network(CERBERUS, TINY)
    )
    (tmp_path / "file").touch()
    shown = cli("model", "import", "weights.tar", "--out", tmp_path / "file")
    assert (shown.code, len(shown.err.splitlines())) == (1, 1)
    assert "expected a folder to write the model to" in shown.err
