"""PyTorch on a CPU or a CUDA GPU."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from histocerb.inference.compute import Precision
from histocerb.inference.window_heads import WindowHeads
from histocerb.models.network import Network

_DTYPES = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


class TorchPredictor:
    """Eager PyTorch, channels last; on a GPU pinned, non-blocking copies and a stream per thread."""

    def __init__(self, network: Network, device: str, precision: Precision = Precision.FP32) -> None:
        """Take a network to a device.

        Args:
            network: is moved there.
            device: of torch.
            precision: of convolutions (autocast); softmax and what follows stay in float32.
        """
        self._device = torch.device(device)
        self._precision = precision
        self._network = network.eval().to(self._device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._streams = threading.local()
        if self._device.type == "cuda":
            _compute_repeatably(exactly=precision is Precision.FP32)

    @property
    def device(self) -> str:
        """The torch device."""
        return str(self._device)

    def predict(self, image: npt.NDArray[np.uint8], margin_px: int) -> dict[str, npt.NDArray[Any]]:
        """Final maps of one window; see `Predictor.predict`."""
        return self._run(image, margin_px, quantised=True)

    def probabilities(self, image: npt.NDArray[np.uint8], margin_px: int) -> dict[str, npt.NDArray[Any]]:
        """Probabilities of every channel; see `Predictor.probabilities`."""
        return self._run(image, margin_px, quantised=False)

    def _run(
        self, image: npt.NDArray[np.uint8], margin_px: int, *, quantised: bool
    ) -> dict[str, npt.NDArray[Any]]:
        heads = WindowHeads(self._network, margin_px, quantised=quantised)
        pixels = torch.from_numpy(np.ascontiguousarray(image))[None]
        with torch.inference_mode(), self._autocast(), self._stream():
            outputs = heads(self._to_device(pixels))
            arrays = self._to_host(outputs)
        return {head.name: array for head, array in zip(heads.heads, arrays, strict=True)}

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self._precision is Precision.FP32:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=_DTYPES[self._precision])

    def _stream(self) -> contextlib.AbstractContextManager[Any]:
        """A stream of this thread: while one window computes, others are copied."""
        if self._device.type != "cuda":
            return contextlib.nullcontext()
        if not hasattr(self._streams, "own"):
            self._streams.own = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._streams.own)

    def _to_device(self, pixels: Tensor) -> Tensor:
        if self._device.type != "cuda":
            return pixels
        return pixels.pin_memory().to(self._device, non_blocking=True)

    def _to_host(self, outputs: tuple[Tensor, ...]) -> list[npt.NDArray[Any]]:
        if self._device.type != "cuda":
            return [np.ascontiguousarray(output.numpy()) for output in outputs]
        hosts = [torch.empty(output.shape, dtype=output.dtype, pin_memory=True) for output in outputs]
        for host, output in zip(hosts, outputs, strict=True):
            host.copy_(output, non_blocking=True)
        torch.cuda.current_stream(self._device).synchronize()
        return [host.numpy() for host in hosts]


def _compute_repeatably(*, exactly: bool) -> None:
    """The same kernels each time, so that a window gives the same bits again; `exactly`: no TF32 either."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    if exactly:
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
