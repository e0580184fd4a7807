from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from histocerb.core.config_file import validated
from histocerb.data.store import Store
from histocerb.models.checkpoint import load_checkpoint
from histocerb.training.config import TrainConfig
from histocerb.training.facts import git_state, run_facts, weights_facts


def _git(folder: Path, *words: str) -> str:
    settings = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_commit_and_whether_files_differ(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    _git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    _git(tmp_path, "add", "file")
    _git(tmp_path, "commit", "-q", "-m", "one")
    assert git_state(tmp_path) == {"commit": _git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "new").write_text("not part of the code")
    assert git_state(tmp_path) == {"commit": _git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "file").write_text("2")
    state = git_state(tmp_path)
    assert state is not None
    assert state["dirty"] is True


def test_no_git_no_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) is None


def test_facts_name_data_versions_and_machine(store: Store) -> None:
    facts = run_facts(store, seed=7)
    assert facts["seed"] == 7
    assert facts["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert facts["machine"]["cores"] >= 1
    changed = Store(store.path, (replace(store.records[0], split="fold-9"), *store.records[1:]))
    assert run_facts(changed, 7)["data"]["fingerprint"] != facts["data"]["fingerprint"]


def test_facts_name_the_weights_that_a_run_begins_with(recipe: dict[str, Any], tmp_path: Path) -> None:
    config = validated(recipe, TrainConfig, "recipe")
    assert weights_facts(config) == {}
    assert weights_facts(replace(config, start_from="nowhere", encoder_weights="hf:some/where")) == {}
    packaged = replace(config, start_from="default")
    assert weights_facts(packaged) == {"start_from": load_checkpoint("default").sha256}
    (tmp_path / "encoder.pth").write_bytes(b"weights")
    published = replace(config, encoder_weights=str(tmp_path / "encoder.pth"))
    assert weights_facts(published) == {"encoder_weights": hashlib.sha256(b"weights").hexdigest()}
