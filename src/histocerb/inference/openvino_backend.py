"""OpenVINO on a CPU: the same module as in PyTorch, compiled once per window size."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from histocerb.core.geometry import MARGIN_PX
from histocerb.core.tasks import CELL_PX
from histocerb.inference.compute import Precision
from histocerb.inference.window_heads import WindowHeads
from histocerb.models.network import Network

_TRACED_SHAPE = (CELL_PX + 2 * MARGIN_PX, CELL_PX + 2 * MARGIN_PX, 3)
"""The smallest window: tracing runs the module once in PyTorch; the graph is reshaped afterwards."""

_HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}
"""Said always, so that a processor with bfloat16 finds the same objects as one without unless asked to."""


def computes_in_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoPredictor:
    """Compiled graphs, kept in memory per window size and kind of output."""

    def __init__(self, network: Network, precision: Precision = Precision.FP32) -> None:
        self._config = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
        self._network = network.eval().to("cpu")
        self._core = ov.Core()
        self._compiled: dict[tuple[int, int, int, bool], Any] = {}

    @property
    def device(self) -> str:
        """The CPU by way of OpenVINO."""
        return "cpu (OpenVINO)"

    def predict(self, image: npt.NDArray[np.uint8], margin_px: int) -> dict[str, npt.NDArray[Any]]:
        """Final maps of one window; see `Predictor.predict`."""
        return self._run(image, margin_px, quantised=True)

    def probabilities(self, image: npt.NDArray[np.uint8], margin_px: int) -> dict[str, npt.NDArray[Any]]:
        """Probabilities of every channel; see `Predictor.probabilities`."""
        return self._run(image, margin_px, quantised=False)

    def _run(
        self, image: npt.NDArray[np.uint8], margin_px: int, *, quantised: bool
    ) -> dict[str, npt.NDArray[Any]]:
        key = (*image.shape[:2], margin_px, quantised)
        if key not in self._compiled:
            heads = WindowHeads(self._network, margin_px, quantised=quantised)
            self._compiled[key] = self._core.compile_model(
                _converted(heads, image.shape), "CPU", self._config
            )
        outputs = self._compiled[key]([np.ascontiguousarray(image)[None]])
        return {head.name: np.array(outputs[index]) for index, head in enumerate(self._network.spec.heads)}


def _converted(heads: WindowHeads, shape: tuple[int, ...]) -> Any:
    """The module as an OpenVINO model of fixed input size.

    The front end is called directly: `openvino.convert_model` would report its use over the network.
    """
    example = torch.zeros((1, *_TRACED_SHAPE), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # tracing warns of Python branches on sizes, which are fixed here, and of its own age
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(heads.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, example_input=(example,))
        front_end = FrontEndManager().load_by_framework("pytorch")
        model = front_end.convert(front_end.load(decoder))
    model.reshape([1, *shape])
    return model
