from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from histocerb.core.errors import OutputError
from histocerb.training.steps import Saver


class _Trainer:
    """Saves so many bytes, and then dies of what it is told to."""

    def __init__(self, step: int, content: bytes, ends: BaseException | None = None) -> None:
        self.global_step, self.is_global_zero = step, True
        self.content, self.ends = content, ends

    def save_checkpoint(self, path: Path) -> None:
        path.write_bytes(self.content)
        if self.ends is not None:
            raise self.ends


def _save(saver: Saver, trainer: _Trainer) -> None:
    module: Any = SimpleNamespace(sums=SimpleNamespace(means=lambda _: {}))
    saver.after_step(trainer, module, batch=None)  # type: ignore[arg-type]


def test_saves_when_it_is_time(tmp_path: Path) -> None:
    saver = Saver(tmp_path / "last.ckpt", every=2)
    for step in range(1, 6):
        _save(saver, _Trainer(step, f"{step}".encode()))
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert (tmp_path / "last.ckpt").read_bytes() == b"4"


def test_a_save_that_breaks_off_leaves_the_one_before(tmp_path: Path) -> None:
    """As where the file is copied from another file system, and the process is killed meanwhile."""
    saver = Saver(tmp_path / "last.ckpt", every=1)
    _save(saver, _Trainer(1, b"a whole file"))
    with pytest.raises(KeyboardInterrupt):
        _save(saver, _Trainer(2, b"a wh", ends=KeyboardInterrupt()))
    assert (tmp_path / "last.ckpt").read_bytes() == b"a whole file"
    Saver(tmp_path / "last.ckpt", every=1).begin(1)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_full_disk_is_said_and_leaves_the_one_before(tmp_path: Path) -> None:
    saver = Saver(tmp_path / "last.ckpt", every=1)
    _save(saver, _Trainer(1, b"a whole file"))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutputError, match=r"found .* failing \(No space left on device\); free space"):
        _save(saver, _Trainer(2, b"a wh", ends=full))
    assert (tmp_path / "last.ckpt").read_bytes() == b"a whole file"


def test_one_process_of_several_gives_the_name(tmp_path: Path) -> None:
    trainer = _Trainer(1, b"")
    trainer.is_global_zero = False
    _save(Saver(tmp_path / "last.ckpt", every=1), trainer)
    assert not (tmp_path / "last.ckpt").exists()
