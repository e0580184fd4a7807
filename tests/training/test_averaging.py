from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from histocerb.core.config_file import validated
from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.models.checkpoint import load_checkpoint
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network
from histocerb.training.averaging import check_averages, mean_of
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig
from histocerb.training.fit import fit

STAGE = {"heads": ["nuclei.instance"], "steps": 2}
WEIGHT = "project.weight"


def _run(recipe: dict[str, Any], *averages: int, **changes: Any) -> TrainConfig:
    stages = [STAGE | {"average_last": count} for count in averages]
    return validated(recipe | {"stages": stages} | changes, TrainConfig, "recipe")


def _ends(run: Path, stages: int) -> list[Tensor]:
    files = (run / f"stage-{number}" / "weights.safetensors" for number in range(1, stages + 1))
    return [load_file(path)[WEIGHT] for path in files]


def test_the_mean_of_weights_and_running_statistics(tiny: NetworkConfig) -> None:
    states = []
    for number in range(3):
        torch.manual_seed(number)
        state = Network(CERBERUS, tiny).state_dict()
        for name, value in state.items():
            if name.endswith("num_batches_tracked"):
                value.fill_(100 * number)
        states.append(state)
    for name, value in mean_of(states).items():
        assert value.dtype == states[0][name].dtype
        if value.is_floating_point():
            expected = torch.stack([state[name] for state in states]).mean(0)
            torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-7)
        else:
            assert value == 200, name


def test_a_stage_ends_with_the_mean_of_the_last(recipe: dict[str, Any], tmp_path: Path) -> None:
    plain = fit(_run(recipe, 1, 1, 1), tmp_path / "plain", device="cpu").parent
    model = fit(_run(recipe, 1, 1, 2), tmp_path / "mean", device="cpu")
    first, second, third = _ends(plain, 3)
    assert not torch.equal(second, third)
    *before, last = _ends(model.parent, 3)
    assert [torch.equal(one, other) for one, other in zip(before, (first, second), strict=True)] == [True] * 2
    torch.testing.assert_close(last, (second + third) / 2)
    assert torch.equal(load_checkpoint(model).network.state_dict()[WEIGHT], last)


def test_what_a_run_starts_from_counts(recipe: dict[str, Any], tmp_path: Path) -> None:
    model = fit(_run(recipe, 1), tmp_path / "first", device="cpu")
    plain = fit(_run(recipe, 1, start_from=str(model)), tmp_path / "plain", device="cpu").parent
    config = _run(recipe, 2, 1, start_from=str(model))
    averaged = fit(config, tmp_path / "mean", device="cpu").parent
    start = first_network(config).state_dict()[WEIGHT]
    torch.testing.assert_close(_ends(averaged, 1)[0], (start + _ends(plain, 1)[0]) / 2)


def test_more_than_there_are(recipe: dict[str, Any], tmp_path: Path) -> None:
    check_averages(_run(recipe, 1, 2, 3))
    check_averages(_run(recipe, 2, 3, 4, start_from="default"))
    with pytest.raises(UsageError, match=r"average_last of at most 2 for stage 2 .* found 3"):
        fit(_run(recipe, 1, 3), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_new_head_has_no_weights_to_begin_with(recipe: dict[str, Any], tmp_path: Path) -> None:
    model = fit(_run(recipe, 1), tmp_path / "first", device="cpu")
    other = STAGE | {"heads": ["gland.instance"]}
    stages = [other, other | {"average_last": 2}, STAGE]
    config = validated(recipe | {"stages": stages, "start_from": str(model)}, TrainConfig, "recipe")
    check_averages(config)
    stages[1] |= {"average_last": 3}
    config = validated(recipe | {"stages": stages, "start_from": str(model)}, TrainConfig, "recipe")
    with pytest.raises(UsageError, match=r"without gland\.instance; lower average_last of stage 2"):
        check_averages(config)
