from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from histocerb.core.config_file import validated
from histocerb.core.errors import UsageError
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig
from histocerb.training.dry_run import StageCost, dry_run
from histocerb.training.stage import DONE_FILE


def _config(recipe: dict[str, Any], **change: Any) -> TrainConfig:
    return validated(recipe | change, TrainConfig, "recipe")


def test_says_what_stages_take_and_writes_nothing(recipe: dict[str, Any], tmp_path: Path) -> None:
    config = _config(recipe)
    whole, typed = dry_run(config, tmp_path / "run", "cpu")
    assert not (tmp_path / "run").exists()
    network = first_network(config)
    assert whole.parameters == typed.parameters == sum(p.numel() for p in network.parameters())
    assert typed.learning == sum(
        p.numel() for name in ("nuclei_type", "gland_type") for p in network.decoders[name].parameters()
    )
    assert whole.learning == whole.parameters - typed.learning
    assert (whole.steps, whole.done, typed.steps) == (10, 0, 6)
    assert whole.steps_per_s > 0
    assert whole.left_s == pytest.approx(10 / whole.steps_per_s)
    assert whole.memory_mb > 50


def test_operations_grow_with_the_batch_and_accumulation(recipe: dict[str, Any], tmp_path: Path) -> None:
    stages = [{"heads": ["gland.instance"], "steps": 2}]
    one, double, twice = (
        dry_run(_config(recipe, stages=[stages[0] | more], sampler={"batch_size": size}), tmp_path, "cpu")[0]
        for size, more in ((2, {}), (4, {}), (2, {"accumulate": 2}))
    )
    assert double.flops == pytest.approx(2 * one.flops)
    assert twice.flops == pytest.approx(2 * one.flops)
    # A forward pass of the stem's 7 x 7 convolution alone, of both crops, is less.
    assert one.flops > 2 * 2 * (48 // 2) ** 2 * 16 * 3 * 49


def test_what_is_done_is_not_left(recipe: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "stage-1").mkdir()
    (tmp_path / "stage-1" / DONE_FILE).write_bytes(b"")
    first, second = dry_run(_config(recipe), tmp_path, "cpu")
    assert (first.done, first.left_s) == (10, 0)
    assert second.done == 0


def test_what_a_run_would_refuse_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    idle = {"natural_frequencies": True, "subtyping_loss": "ce"}
    with pytest.raises(UsageError, match="natural_frequencies are for"):
        dry_run(_config(recipe, **idle), tmp_path, "cpu")
    (stage, *_) = recipe["stages"]
    with pytest.raises(UsageError, match="average_last"):
        dry_run(_config(recipe, stages=[stage | {"average_last": 3}]), tmp_path, "cpu")


def test_time_left() -> None:
    cost = StageCost(("a",), 1, 1, 1.0, 1.0, steps=100, done=40, steps_per_s=3.0)
    assert cost.left_s == 20
