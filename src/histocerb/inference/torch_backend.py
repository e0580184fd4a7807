"""PyTorch on a CPU or a CUDA GPU."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from histocerb.inference.window_heads import WindowHeads
from histocerb.models.network import Network


class TorchPredictor:
    """Eager PyTorch, channels last; pinned, non-blocking copies on a GPU."""

    def __init__(self, network: Network, device: str, *, bfloat16: bool = False) -> None:
        """Take a network to a device.

        Args:
            network: is moved there.
            device: of torch.
            bfloat16: convolve in bfloat16 (autocast); softmax and what follows stay in float32.
        """
        self._device = torch.device(device)
        self._bfloat16 = bfloat16
        self._network = network.eval().to(self._device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

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
        with torch.inference_mode(), self._autocast():
            outputs = heads(self._to_device(pixels))
            arrays = self._to_host(outputs)
        return {head.name: array for head, array in zip(heads.heads, arrays, strict=True)}

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if not self._bfloat16:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

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
