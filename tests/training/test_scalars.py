from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from histocerb.core.errors import UsageError
from histocerb.training.scalars import scalar_sinks


def test_a_journal_alone_needs_nothing(tmp_path: Path) -> None:
    assert scalar_sinks("csv", tmp_path) == ()


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'histocerb\[tensorboard\]'"):
        scalar_sinks("tensorboard", tmp_path)


def test_values_are_written_as_scalars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "tensorboard")

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def flush(self) -> None:
            written.append(("flush", 0, 0))

    package = ModuleType("torch.utils.tensorboard")
    package.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", package)
    (sink,) = scalar_sinks("tensorboard", tmp_path)
    sink(12, {"loss/a": 0.5, "lr": 1e-3})
    assert written == [("loss/a", 0.5, 12), ("lr", 1e-3, 12), ("flush", 0, 0)]
