"""Which device runs a network, and how."""

from __future__ import annotations

import importlib.util
import re

import torch

from histocerb.core.errors import UsageError
from histocerb.inference.protocol import Predictor
from histocerb.inference.torch_backend import TorchPredictor
from histocerb.models.network import Network


def resolve_device(device: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:i` to `cpu` or `cuda:i`.

    Raises:
        UsageError: Another word, or a GPU that is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda:0" if count else "cpu"
    if device == "cpu":
        return device
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"expected --device auto, cpu, cuda or cuda:0, got {device!r}; use --device auto")
    index = int(match.group(1) or 0)
    if index >= count:
        raise UsageError(
            f"--device {device} needs a CUDA GPU of that number, found {count}; use --device cpu or auto"
        )
    return f"cuda:{index}"


def make_predictor(network: Network, device: str = "auto") -> Predictor:
    """The fastest installed way: OpenVINO or PyTorch on a CPU, PyTorch in bfloat16 on a GPU."""
    resolved = resolve_device(device)
    if resolved == "cpu" and importlib.util.find_spec("openvino") is not None:
        from histocerb.inference.openvino_backend import OpenVinoPredictor

        return OpenVinoPredictor(network)
    return TorchPredictor(network, resolved, bfloat16=resolved != "cpu")
