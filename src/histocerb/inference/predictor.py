"""The predictor of a device."""

from __future__ import annotations

import importlib.util

from histocerb.core.errors import UsageError
from histocerb.inference.backoff import Backoff
from histocerb.inference.compute import Compute, Precision, resolve
from histocerb.inference.protocol import Predictor
from histocerb.inference.torch_backend import TorchPredictor
from histocerb.models.network import Network


def make_predictor(network: Network, compute: Compute | None = None) -> Predictor:
    """The fastest installed way: OpenVINO or PyTorch on a CPU, PyTorch on a GPU.

    Args:
        network: is moved to the device.
        compute: how; its first device is taken. None: the best device there is.

    Raises:
        UsageError: The processor does not compute in the precision.
    """
    compute = compute or resolve()
    device = compute.devices[0]
    if device != "cpu":
        return Backoff(TorchPredictor(network, device, compute.precision), compute.batch)
    if importlib.util.find_spec("openvino") is None:
        return TorchPredictor(network, device, compute.precision)
    from histocerb.inference.openvino_backend import OpenVinoPredictor, computes_in_bfloat16

    if compute.precision is Precision.BF16 and not computes_in_bfloat16():
        raise UsageError(
            "expected a CPU that computes in bfloat16 for --precision bf16, found one that does not, where "
            "it would have no effect; use --precision auto"
        )
    return OpenVinoPredictor(network, compute.precision)
