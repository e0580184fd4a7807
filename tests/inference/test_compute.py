import pytest
import torch

from histocerb.core.errors import UsageError
from histocerb.inference.compute import Compute, Precision, resolve, resolve_device, resolve_devices


@pytest.fixture
def gpus(monkeypatch):
    def have(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return have


def test_devices(gpus):
    gpus(3)
    assert resolve_devices("auto") == ("cuda:0",)
    assert resolve_devices("cuda:all") == ("cuda:0", "cuda:1", "cuda:2")
    assert resolve_devices("cuda:2, cuda:0,cuda:2") == ("cuda:2", "cuda:0", "cuda:2")
    assert resolve_device("cuda") == "cuda:0"
    gpus(0)
    assert resolve_devices("auto") == ("cpu",)
    assert resolve_devices("cpu,cpu") == ("cpu", "cpu")


@pytest.mark.parametrize(
    "device, count, sentence",
    [
        ("gpu", 0, "--device auto"),
        ("cuda:all", 0, "use --device cpu"),
        ("cuda:2", 2, "use --device cpu"),
        ("cpu,cuda:0", 1, "of one kind"),
    ],
)
def test_devices_that_are_not_there(gpus, device, count, sentence):
    gpus(count)
    with pytest.raises(UsageError, match=sentence):
        resolve_devices(device)


def test_one_device_where_only_one_can_be(gpus):
    gpus(2)
    with pytest.raises(UsageError, match="found 2 in 'cuda:all'"):
        resolve_device("cuda:all")


def test_automatic_choices(gpus):
    gpus(1)
    assert resolve() == Compute(("cuda:0",), Precision.BF16, 2)
    assert resolve("cuda", "fp16", "5") == Compute(("cuda:0",), Precision.FP16, 5)
    assert resolve("cpu") == Compute(("cpu",), Precision.FP32, 1)
    assert resolve("cpu,cpu").batch == 1
    assert resolve(torch.device("cuda", 0), batch=5) == resolve("cuda:0", "auto", "5")
    assert resolve(torch.device("cpu"), batch=1) == resolve("cpu")
    kinds = {resolve("cuda", "fp32").arithmetic, resolve("cuda").arithmetic, resolve("cpu").arithmetic}
    assert len(kinds) == 3
    assert resolve("cuda").arithmetic == resolve("cuda:0,cuda:0").arithmetic


@pytest.mark.parametrize(
    "options, sentence",
    [
        (("cpu", "fp16"), "no CPU computes with"),
        (("cpu", "fp8"), "fp32, bf16, fp16 or auto"),
        (("cpu", "auto", "4"), "no effect there: all cores"),
        (("cuda:all", "auto", "4"), "no effect there: each has a process"),
        (("cuda", "auto", "0"), "1 to 9999 or auto"),
        (("cuda", "auto", 2.5), "1 to 9999 or auto"),
        (("cpu", "auto", 4), "no effect there: all cores"),
        ((0,), "expected --device auto"),
    ],
)
def test_options_without_effect_are_errors(gpus, options, sentence):
    gpus(2)
    with pytest.raises(UsageError, match=sentence):
        resolve(*options)
