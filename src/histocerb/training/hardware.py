"""What computes: a processor or GPUs, and how exactly."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from histocerb.core.errors import UsageError
from histocerb.training.config import Precision

_MOST_WORKERS = 8


@dataclass(frozen=True)
class Hardware:
    """Devices of a run.

    Attributes:
        kind: cpu, cuda or mps.
        first: number of the first GPU.
    """

    kind: str
    first: int = 0

    @property
    def accelerator(self) -> str:
        """Lightning's name."""
        return {"cuda": "gpu"}.get(self.kind, self.kind)

    def devices(self, count: int) -> int | list[int]:
        """Which devices Lightning shall use for that many processes."""
        return list(range(self.first, self.first + count)) if self.kind == "cuda" else count

    def workers(self, processes: int) -> int:
        """Loader processes for each of them, where the run does not say."""
        if self.kind == "cpu":
            return 1
        return max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) // processes - 1))

    def prepare(self, precision: Precision) -> None:
        """On a GPU: float32 is float32 (no TF32) and convolutions are repeatable, but not with `bf16`."""
        if self.kind == "cuda":
            exact = precision == 32
            torch.set_float32_matmul_precision("highest" if exact else "high")
            torch.backends.cudnn.allow_tf32 = not exact
            torch.backends.cudnn.deterministic = exact


def find_hardware(device: str, processes: int = 1) -> Hardware:
    """What `device` names.

    Args:
        device: auto, cpu, mps, cuda or cuda:N (the first of several).
        processes: devices that are needed.

    Raises:
        UsageError: there is no such device, or there are too few.
    """
    kind, _, number = device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if kind not in ("cpu", "cuda", "mps") or (number and (kind != "cuda" or not number.isdigit())):
        raise UsageError(f"expected the device auto, cpu, mps, cuda or cuda:N, found {device!r}; choose one")
    first = int(number or 0)
    there = {
        "cpu": processes,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if first + processes > there[kind]:
        raise UsageError(
            f"expected {first + processes} {kind} devices for {device!r}, found {there[kind]}; "
            "choose another --device or lower devices"
        )
    return Hardware(kind, first)
