import copy
import importlib.util
from concurrent.futures import ThreadPoolExecutor

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


@pytest.mark.parametrize(
    ("height", "width", "margin_px", "cells"),
    [
        (640, 640, 160, (2, 2)),
        (464, 768, 160, (1, 3)),
        (448, 448, 160, (0, 0)),
        (448, 144, 0, (3, 1)),
        (128, 64, 0, (0, 0)),
        (448, 128, 0, (0, 0)),
        (192, 176, 10, (1, 1)),
    ],
)
def test_openvino_finds_the_cells_of_any_margin(network, openvino, height, width, margin_px, cells):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = TorchPredictor(network, "cpu").probabilities(image, margin_px)
    found = openvino.probabilities(image, margin_px)
    assert found["tissue.patch"].shape == (*cells, 9)
    for name in expected:
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)


def test_openvino_takes_several_threads(openvino, image):
    windows = [np.roll(image[:448], 16 * shift, axis=0) for shift in range(4)]
    expected = [openvino.predict(window, 152) for window in windows]
    with ThreadPoolExecutor(len(windows)) as threads:
        found = list(threads.map(lambda window: openvino.predict(window, 152), 5 * windows))
    for one, again in zip(5 * expected, found, strict=True):
        for name in one:
            np.testing.assert_array_equal(again[name], one[name])


def test_openvino_keeps_the_graphs_last_used(network, openvino, monkeypatch):
    from histocerb.inference import openvino_backend

    traced, compiled = [], []
    convert = openvino_backend._converted

    class Core:
        def __init__(self, core):
            self.core = core

        def compile_model(self, *given):
            compiled.append(given)
            return self.core.compile_model(*given)

    monkeypatch.setattr(openvino_backend, "_GRAPHS", 2)
    monkeypatch.setattr(
        openvino_backend, "_converted", lambda *given: traced.append(given) or convert(*given)
    )
    predictor, counts = openvino_backend.OpenVinoPredictor(network), []
    predictor._core = Core(predictor._core)
    for side in (144, 160, 144, 176, 144, 160):
        predictor.predict(np.zeros((side, side, 3), np.uint8), 0)
        counts.append(len(compiled))
    assert counts == [1, 2, 2, 3, 3, 4], "176 took the place of 160, not of 144, which was used since"
    assert len(traced) == 1, "all sizes have cells, so that one trace is for all"


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
