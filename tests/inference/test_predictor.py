import copy
import importlib.util

import numpy as np
import pytest
import torch

from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS, HeadKind, TaskSpec
from histocerb.inference.compute import Precision, resolve
from histocerb.inference.maps import predict_maps
from histocerb.inference.predictor import make_predictor
from histocerb.inference.torch_backend import TorchPredictor
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.models.network import Network
from histocerb.models.whole_image import plain_maps
from histocerb.postproc.maps import quantise

SPEC = TaskSpec("few", (CERBERUS.task("nuclei"), CERBERUS.task("tissue")))
"""One head of each kind."""
TINY = NetworkConfig(
    EncoderConfig(blocks=(1, 1, 1), widths=(16, 16, 16, 16), stem_stride=2), head_width=16, patch_width=16
)


@pytest.fixture(scope="module")
def network(image):
    """Random weights; normalised by the image, so that its maps vary from pixel to pixel."""
    torch.manual_seed(3)
    network = Network(SPEC, TINY)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network(torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float(), margin_px=152)
    return network.eval()


@pytest.fixture(scope="module")
def openvino(network):
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    predictor = make_predictor(network, resolve("cpu"))
    assert predictor.device == "cpu (OpenVINO)"
    return predictor


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (592, 448, 3), dtype=np.uint8)


def test_maps_are_those_of_the_network(network, image):
    expected = plain_maps(network, image, 152)
    found = TorchPredictor(network, "cpu").predict(image, 152)
    assert list(found) == [head.name for head in SPEC.heads]
    for head in SPEC.heads:
        maps, probs = found[head.name], expected[head.name]
        if head.kind is HeadKind.INSTANCE:
            np.testing.assert_array_equal(maps, quantise(probs)[..., 1:])
            assert maps.shape == (288, 144, 2)
        elif head.kind is HeadKind.TYPE:
            np.testing.assert_array_equal(maps, probs.argmax(axis=2))
            assert maps.dtype == np.uint8
        else:
            np.testing.assert_array_equal(maps, probs)
            assert maps.shape == (2, 1, 9)


def test_openvino_agrees_with_pytorch(network, openvino, image):
    plain = TorchPredictor(network, "cpu")
    expected, found = plain.probabilities(image, 152), openvino.probabilities(image, 152)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    expected, found = plain.predict(image, 152), openvino.predict(image, 152)
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        assert found[name].shape == expected[name].shape
        difference = np.abs(found[name].astype(float) - expected[name])
        assert np.mean(difference > 1e-5) < 0.01
    for name, again in openvino.predict(image.copy(), 152).items():
        np.testing.assert_array_equal(again, found[name])


def test_plain_pass(network, image):
    maps = predict_maps(image, TorchPredictor(network, "cpu"), SPEC, margin_px=0)
    expected = plain_maps(network, image)
    for name in expected:
        np.testing.assert_array_equal(maps[name], expected[name])


def test_bfloat16_is_close(network, image):
    expected = TorchPredictor(network, "cpu").probabilities(image, 152)
    found = TorchPredictor(network, "cpu", Precision.BF16).probabilities(image, 152)
    for name in expected:
        assert found[name].dtype == np.float32
        assert 0 < np.abs(found[name] - expected[name]).max() < 0.1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_gpu_is_close(network, image):
    expected = TorchPredictor(network, "cpu").predict(image, 152)
    found = make_predictor(copy.deepcopy(network), resolve("cuda")).predict(image, 152)
    for name in expected:
        assert (found[name].dtype, found[name].shape) == (expected[name].dtype, expected[name].shape)
        assert np.mean(np.abs(found[name].astype(float) - expected[name]) > 8) < 0.05


def test_bfloat16_has_an_effect_or_is_refused(network, openvino, image):
    from histocerb.inference.openvino_backend import computes_in_bfloat16

    compute = resolve("cpu", "bf16")
    if not computes_in_bfloat16():
        with pytest.raises(UsageError, match="would have no effect"):
            make_predictor(network, compute)
        return
    expected, found = (
        openvino.probabilities(image, 152),
        make_predictor(network, compute).probabilities(image, 152),
    )
    for name in expected:
        assert 0 < np.abs(found[name] - expected[name]).max() < 0.1
