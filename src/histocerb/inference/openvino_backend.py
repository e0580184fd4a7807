"""OpenVINO on a CPU: the same module as in PyTorch, compiled once per window size."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from histocerb.core.geometry import WINDOW_OUTPUT_PX
from histocerb.core.tasks import CELL_PX
from histocerb.inference.compute import Precision
from histocerb.inference.window_heads import WindowHeads
from histocerb.models.config import STRIDE
from histocerb.models.network import Network

_GRAPHS = 2 * WINDOW_OUTPUT_PX // CELL_PX
"""Most graphs that are kept: windows of a grid have one of 7 sizes, and there are two kinds of output."""

_HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}
"""Said always, so that a processor with bfloat16 finds the same objects as one without unless asked to."""


def computes_in_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


_Key = tuple[int, int, int, bool]
"""Height, width and margin in pixels, and whether maps are quantised."""


class OpenVinoPredictor:
    """Compiled graphs, the last few kept in memory, per window size, margin and kind of output.

    For several threads: one window is computed at a time, with all cores.
    """

    def __init__(self, network: Network, precision: Precision = Precision.FP32) -> None:
        self._config = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
        self._network = network.eval().to("cpu")
        self._core = ov.Core()
        self._converted: dict[_Key, Any] = {}
        self._compiled: OrderedDict[_Key, Any] = OrderedDict()
        self._lock = Lock()  # a graph computes one window at a time

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
        pixels = np.ascontiguousarray(image)[None]
        with self._lock:
            outputs = self._graph((*image.shape[:2], margin_px, quantised))([pixels])
            return {
                head.name: np.array(outputs[index]) for index, head in enumerate(self._network.spec.heads)
            }

    def _graph(self, key: _Key) -> Any:
        """The compiled graph for windows of that size; a new one takes the place of the longest unused."""
        if key not in self._compiled:
            while len(self._compiled) >= _GRAPHS:
                self._compiled.popitem(last=False)
            self._compiled[key] = self._core.compile_model(self._model(key), "CPU", self._config)
        self._compiled.move_to_end(key)
        return self._compiled[key]

    def _model(self, key: _Key) -> Any:
        """The network for windows of that size, converted once for all sizes that are traced alike.

        PyTorch never gives back what a trace took: 20 MB.
        """
        height, width, margin_px, quantised = key
        traced = (_traced_px(height, margin_px), _traced_px(width, margin_px), margin_px, quantised)
        if traced not in self._converted:
            heads = WindowHeads(self._network, margin_px, quantised=quantised)
            self._converted[traced] = _converted(heads, traced[:2])
        model = self._converted[traced]
        model.reshape([1, height, width, 3])
        return model


def _converted(heads: WindowHeads, shape: tuple[int, int]) -> Any:
    """The module as an OpenVINO model, traced on windows of that height and width.

    Tracing runs the module once in PyTorch, on a small window; the graph is reshaped afterwards.
    The front end is called directly: `openvino.convert_model` would report its use over the network.
    """
    example = torch.zeros((1, *shape, 3), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # tracing warns of Python branches on sizes, which are those of the window, and of its own age
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(heads.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, example_input=(example,))
        front_end = FrontEndManager().load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))


def _traced_px(side_px: int, margin_px: int) -> int:
    """Side to trace on: the least one with a tissue cell inside the margin, or a window's own if it has none.

    Whether there is a cell is a Python branch of the patch decoder, and tracing freezes it.
    """
    with_cell = CELL_PX + 2 * margin_px
    return min(side_px, with_cell + -with_cell % STRIDE)
