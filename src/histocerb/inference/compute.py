"""What computes, and how exactly: devices, precision, and windows on a device at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch

from histocerb.core.errors import UsageError

AUTO = "auto"
_BATCH_ON_GPU = 2
"""Windows on a GPU at a time: while one computes, the next one is copied there and the last one back."""


class Precision(StrEnum):
    """Numbers in which the network convolves; softmax and what follows are float32 always."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


@dataclass(frozen=True)
class Compute:
    """How windows are computed.

    Attributes:
        devices: `cpu` or `cuda:i`, one predictor each; a device may be named twice.
        precision: of convolutions.
        batch: windows on a device at a time. Each goes through the network alone, so that results do not
            depend on it; fewer where the memory of the device does not suffice.
    """

    devices: tuple[str, ...]
    precision: Precision
    batch: int = 1

    @property
    def arithmetic(self) -> str:
        """What last bits of results depend on: kind of device and precision."""
        return f"{self.devices[0].partition(':')[0]} {self.precision}"


def resolve(device: str | torch.device = AUTO, precision: str = AUTO, batch: str | int = AUTO) -> Compute:
    """What `--device`, `--precision` and `--batch` ask for.

    Raises:
        UsageError: There is no such device, or an option has no effect on it.
    """
    devices = resolve_devices(str(device))
    on_cpu = devices[0] == "cpu"
    return Compute(devices, _precision(precision, on_cpu), _batch(str(batch), on_cpu, len(devices)))


def check_for_gpu(precision: str = AUTO, batch: str | int = AUTO) -> None:
    """See that a GPU, which another machine has, can do what `--precision` and `--batch` ask for.

    Raises:
        UsageError: It cannot.
    """
    _precision(precision, on_cpu=False)
    _batch(str(batch), on_cpu=False, devices=1)


def resolve_devices(device: str) -> tuple[str, ...]:
    """`auto`, `cpu`, `cuda`, `cuda:i`, `cuda:all`, or several with commas, to `cpu` and `cuda:i`.

    Raises:
        UsageError: Another word, a GPU that is not there, or CPU and GPU together.
    """
    words = device.split(",")
    found = tuple(one for word in words for one in _one(word.strip(), device))
    if len({one.partition(":")[0] for one in found}) > 1:
        raise UsageError(
            f"expected --device of one kind, found {device!r}, whose results would differ in last bits; "
            "name CPUs or GPUs"
        )
    return found


def resolve_device(device: str) -> str:
    """One device; see `resolve_devices`.

    Raises:
        UsageError: There is no such device, or there are several.
    """
    found = resolve_devices(device)
    if len(found) > 1:
        raise UsageError(f"expected one --device here, found {len(found)} in {device!r}; name one of them")
    return found[0]


def _one(word: str, device: str) -> Sequence[str]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if word == AUTO:
        return ["cuda:0" if count else "cpu"]
    if word == "cpu":
        return [word]
    match = re.fullmatch(r"cuda(?::(\d+|all))?", word)
    if match is None:
        raise UsageError(
            f"expected --device auto, cpu, cuda, cuda:0 or cuda:all, got {device!r}; use --device auto"
        )
    if match[1] == "all" and count:
        return [f"cuda:{index}" for index in range(count)]
    index = 0 if match[1] in (None, "all") else int(match[1])
    if index >= count:
        raise UsageError(
            f"--device {device} needs a CUDA GPU of that number, found {count}; use --device cpu or auto"
        )
    return [f"cuda:{index}"]


def _precision(word: str, on_cpu: bool) -> Precision:
    if word == AUTO:
        return Precision.FP32 if on_cpu else Precision.BF16
    if word not in set(Precision):
        raise UsageError(
            f"expected --precision fp32, bf16, fp16 or auto, found {word!r}; use --precision auto"
        )
    if on_cpu and word == Precision.FP16:
        raise UsageError(
            "expected --precision fp32 or bf16 on a CPU, found fp16, which no CPU computes with; "
            "use --precision auto"
        )
    return Precision(word)


def _batch(word: str, on_cpu: bool, devices: int) -> int:
    if word == AUTO:
        return 1 if on_cpu or devices > 1 else _BATCH_ON_GPU
    if not re.fullmatch(r"[1-9]\d{0,3}", word):
        raise UsageError(f"expected --batch of 1 to 9999 or auto, found {word!r}; use --batch auto")
    if word != "1" and on_cpu:
        raise UsageError(
            f"expected --batch 1 or auto on a CPU, found {word}, which has no effect there: all cores work "
            "on one window at a time; leave it out"
        )
    if word != "1" and devices > 1:
        raise UsageError(
            f"expected --batch 1 or auto with several devices, found {word}, which has no effect there: each "
            "has a process with one window at a time; name a device twice to give it two"
        )
    return int(word)
