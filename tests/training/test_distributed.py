"""Two real processes on the processor train as one does."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from histocerb.core.errors import HistocerbError
from histocerb.core.tasks import CERBERUS
from histocerb.models.config import NetworkConfig
from histocerb.models.decoder import pixel_head
from histocerb.training.distributed import ALONE, Team, team_of
from histocerb.training.journal import Journal
from histocerb.training.shared_norm import SharedBatchNorm, share

SCRIPT = """
# In double precision, where rounding does not turn a ReLU on or off: both sides agree to the last digits.
# This part of the file is run by the second process, too.
import json, sys
from pathlib import Path
import torch
from lightning.pytorch.callbacks import Callback
from histocerb.core.config_file import validated
from histocerb.training import fit as training
from histocerb.training.config import TrainConfig

torch.set_num_threads(1)
torch.Tensor.float = torch.Tensor.double
first_network = training.first_network
training.first_network = lambda config: first_network(config).double()
training.validate = lambda *_: {"summary": {}}

class Keep(Callback):
    def __init__(self):
        self.grads = []
    def on_before_optimizer_step(self, trainer, module, optimizer):
        named = module.network.named_parameters()
        self.grads.append({name: p.grad.clone() for name, p in named if p.grad is not None})
    def on_train_end(self, trainer, module):
        state = trainer.optimizers[0].state
        self.moved = sorted(name for name, p in module.network.named_parameters() if p in state)

if __name__ == "__main__":
    document, out = json.loads(sys.argv[1]), Path(sys.argv[2])
    for devices in (1, 2):
        keep = Keep()
        config = validated(document | {"devices": devices}, TrainConfig, "test")
        training.fit(config, out / str(devices), (keep,), device="cpu")
        torch.save({"grads": keep.grads, "moved": keep.moved}, out / f"{devices}.pt")
"""
STEPS, ACCUMULATE = 4, 2
SLURM = {"JOB_ID": "7", "JOB_NAME": "train", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
"""Of a job with one task, which starts as many processes as there are devices."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def both(recipe: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """What one process and two made of all heads, 3 samples a batch: some heads are in one of them only."""
    stage = {"heads": [head.name for head in CERBERUS.heads], "steps": STEPS, "accumulate": ACCUMULATE}
    network = recipe["network"] | {"dropout": 0.0}
    sampler = {"batch_size": 3, "segmentation_prob": 0.5}
    document = recipe | {"stages": [stage | {"ema": 0.9}], "network": network, "sampler": sampler}
    path = folder / "script.py"
    path.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment |= {f"SLURM_{name}": value for name, value in SLURM.items()}
    command = [sys.executable, str(path), json.dumps(document), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{devices}.pt", weights_only=True) for devices in (1, 2)]


def test_gradients_are_those_of_one_process(both: list[dict[str, Any]]) -> None:
    alone, shared = (found["grads"] for found in both)
    assert len(alone) == len(shared) == STEPS
    for step in range(STEPS):
        assert alone[step].keys() == shared[step].keys()
        for name, gradient in alone[step].items():
            torch.testing.assert_close(shared[step][name], gradient, rtol=1e-6, atol=1e-9, msg=name)


def test_decoders_without_samples_move_nowhere(both: list[dict[str, Any]]) -> None:
    alone, shared = both
    assert len({frozenset(step) for step in shared["grads"]}) > 1, "some decoders had no samples"
    assert alone["moved"] == shared["moved"]


def test_weights_statistics_and_losses_are_those_of_one_process(
    both: list[dict[str, Any]], folder: Path
) -> None:
    assert both
    one, two = (load_file(folder / name / "model" / "weights.safetensors") for name in ("1", "2"))
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-6, atol=1e-8, msg=key)
    rows = [Journal(folder / name / "journal.csv", (STEPS,)).rows() for name in ("1", "2")]
    losses = [{row.name: row.value for row in found if row.name.startswith("loss/")} for found in rows]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert len(losses[0]) == len(CERBERUS.heads)


def test_one_process_needs_no_team() -> None:
    def never() -> None:
        raise AssertionError

    with team_of(1, never, ()) as team:
        assert team == ALONE == Team(0, 1)
        assert not torch.distributed.is_initialized()


def _be_left_alone() -> None:
    """Lead a team whose other process fails at once."""
    with team_of(2, len, ()) as team:
        assert team == Team(0, 2)
        for process in multiprocessing.active_children():
            process.join()
        raise RuntimeError("connection closed by peer")


def test_what_ends_another_process_is_told() -> None:
    with pytest.raises(HistocerbError, match=r"a training process failed: TypeError: .*'Team' has no len"):
        _be_left_alone()
    assert "LOCAL_RANK" not in os.environ


LONELY = """
# The second process dies before the two are connected.
import os, signal
from datetime import timedelta
from torch import distributed
from histocerb.training import distributed as training

def die(team):
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    training._GRACE_S = 0.0
    with training.team_of(2, die, ()):
        distributed.init_process_group("gloo", rank=0, world_size=2, timeout=timedelta(hours=1))
"""


def test_a_process_that_waits_for_a_dead_one_ends(tmp_path: Path) -> None:
    path = tmp_path / "lonely.py"
    path.write_text(LONELY)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith("expected all training processes to go on, found one ended from outside")
    assert len(done.stderr.splitlines()) == 1


def test_shared_batch_norm_of_one_process_is_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: None)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3)))
    nn.init.uniform_(plain[0].weight)
    shared = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3)))
    shared.load_state_dict(plain.state_dict())
    share(shared, norm=True)
    assert isinstance(shared[1][0], SharedBatchNorm)
    inputs = [torch.randn(4, 3, 5, 5, requires_grad=True) for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    outputs = [model(x) for model, x in zip((plain, shared), inputs, strict=True)]
    torch.testing.assert_close(outputs[0], outputs[1])
    for output in outputs:
        (output * torch.arange(5)).square().mean().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[key], value)
    plain.eval()
    shared.eval()
    torch.testing.assert_close(plain(inputs[0]), shared(inputs[0]))


def test_shared_heads_take_no_samples(tiny: NetworkConfig) -> None:
    """torch's own gradient of an empty batch has the wrong shape behind a pixel shuffle."""
    head = pixel_head(tiny, 3).eval()
    x = torch.randn(2, tiny.pixel_widths[0], 5, 5)
    expected = head(x)
    share(head, norm=False)
    torch.testing.assert_close(head(x), expected, rtol=0, atol=0)
    none = x[:0].requires_grad_()
    logits = head(none)
    assert logits.shape == (0, *expected.shape[1:])
    logits.sum().backward()
    assert none.grad is not None
    assert none.grad.shape == none.shape
