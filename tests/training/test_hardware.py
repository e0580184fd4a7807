from __future__ import annotations

import pytest
import torch

from histocerb.core.errors import UsageError
from histocerb.training.hardware import Hardware, find_hardware


def test_a_processor_can_be_shared() -> None:
    hardware = find_hardware("cpu", 2)
    assert hardware == Hardware("cpu")
    assert hardware.devices(2) == 2
    assert hardware.workers(2) == 1


def test_gpus_are_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_hardware("auto") == Hardware("cuda")
    hardware = find_hardware("cuda:1", 3)
    assert hardware.devices(3) == [1, 2, 3]
    assert hardware.accelerator == "gpu"
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert hardware.workers(3) == 8
    with pytest.raises(UsageError, match="expected 5 cuda devices for 'cuda:1', found 4"):
        find_hardware("cuda:1", 4)


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "cuda:x", ""])
def test_unknown_devices_are_named(device: str) -> None:
    with pytest.raises(UsageError, match="expected the device auto, cpu"):
        find_hardware(device)


def test_exact_arithmetic_unless_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", said.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    Hardware("cpu").prepare(32)
    assert said == []
    Hardware("cuda").prepare(32)
    assert said == ["highest"]
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.deterministic
    Hardware("cuda").prepare("bf16")
    assert said == ["highest", "high"]
    assert torch.backends.cudnn.allow_tf32
