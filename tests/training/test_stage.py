"""Every option of a stage does what it says; its default does nothing."""

from __future__ import annotations

import copy
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from histocerb.core.config_file import validated
from histocerb.core.errors import OutputError, UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.data.batches import Batch
from histocerb.data.store import Store
from histocerb.models.network import Network, module_name
from histocerb.training.begin import first_network
from histocerb.training.config import TrainConfig
from histocerb.training.module import StageModule
from histocerb.training.stage import (
    RESUME_FILE,
    Place,
    stage_batches,
    stage_module,
    stage_sampler,
    steps_done,
    train_stage,
)

Recipe = dict[str, Any]


def _config(recipe: Recipe, run: Recipe | None = None, **stage: Any) -> TrainConfig:
    """The first stage of the recipe for 3 steps, with other options."""
    first = recipe["stages"][0] | {"steps": 3} | stage
    return validated(recipe | {"stages": [first]} | (run or {}), TrainConfig, "recipe")


class _Gradients(Callback):
    """Norms of the gradient when the optimiser gets it."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        grads = [p.grad for p in pl_module.parameters() if p.grad is not None]
        if grads:
            self.norms.append(float(torch.stack([grad.norm() for grad in grads]).norm()))


def _trained(config: TrainConfig, place: Place, *callbacks: Callback) -> dict[str, Tensor]:
    network = first_network(config)
    (place.folder / RESUME_FILE).unlink(missing_ok=True)  # of the run before
    train_stage(network, config, replace(place, callbacks=callbacks))
    return network.state_dict()


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def test_options_at_their_defaults_do_nothing(recipe: Recipe, place: Place) -> None:
    said = {
        "optimizer": "adam",
        "weight_decay": 0.0,
        "warmup": 0.0,
        "clip_norm": 0.0,
        "accumulate": 1,
        "ema": 0.0,
    }
    run = {"precision": 32, "devices": 1, "subtyping_loss": "masked_ce_dice", "logger": "csv"}
    plain = _trained(_config(recipe), place)
    assert _same(plain, _trained(_config(recipe, run, **said), place))


@pytest.mark.parametrize(
    "option",
    [{"optimizer": "adamw", "weight_decay": 0.1}, {"weight_decay": 0.1}, {"warmup": 0.9}, {"accumulate": 2}],
    ids=str,
)
def test_options_change_the_result(recipe: Recipe, place: Place, option: Recipe) -> None:
    assert not _same(_trained(_config(recipe), place), _trained(_config(recipe, **option), place))


def test_longer_gradients_are_clipped(recipe: Recipe, place: Place) -> None:
    free, clipped = _Gradients(), _Gradients()
    _trained(_config(recipe), place, free)
    _trained(_config(recipe, clip_norm=0.5), place, clipped)
    assert min(free.norms) > 0.5
    assert clipped.norms == pytest.approx([0.5] * len(clipped.norms), rel=1e-4)


def test_accumulated_gradient_is_the_mean_of_its_batches(recipe: Recipe, place: Place) -> None:
    class Keep(Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: StageModule, optimizer: Any) -> None:
            self.found = {
                n: p.grad.clone() for n, p in pl_module.network.named_parameters() if p.grad is not None
            }

    config, keep = _config(recipe, steps=1, accumulate=3), Keep()
    _trained(config, place, keep)
    network = first_network(config)
    module = stage_module(network, config, place)
    module.on_train_start()
    batches = list(stage_batches(network, config, place))
    assert [batch.step for batch in batches] == [0, 1, 2]
    for batch in batches:
        (module.training_step(batch, 0) / 3).backward()
    expected = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    assert expected.keys() == keep.found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(keep.found[name], gradient, rtol=1e-4, atol=1e-6)


def test_stages_draw_other_samples(recipe: Recipe, place: Place) -> None:
    stage = {"heads": ["nuclei.instance"], "steps": 3}
    config = validated(recipe | {"stages": [stage, stage]}, TrainConfig, "recipe")
    network = first_network(config)
    first, again, second = (
        [batch.images for batch in stage_batches(network, config, replace(place, number=number))]
        for number in (1, 1, 2)
    )
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))


class _Live(Callback):
    """The weights after every step, as the optimiser sees them, and the mean of them."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []
        self.grads: list[set[str]] = []
        self.means: list[dict[str, dict[str, Tensor]]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StageModule)
        self.states.append(copy.deepcopy(pl_module.network.state_dict()))
        self.grads.append(set(batch.targets))
        if pl_module.mean is not None:
            self.means.append(copy.deepcopy(pl_module.mean.values))


def test_the_mean_of_the_weights_is_kept_and_does_not_disturb(recipe: Recipe, place: Place) -> None:
    plain, averaged = _Live(), _Live()
    without = _trained(_config(recipe, steps=6), place, plain)
    kept = _trained(_config(recipe, steps=6, ema=0.9), place, averaged)
    assert all(_same(one, other) for one, other in zip(plain.states, averaged.states, strict=True))
    assert _same(without, plain.states[-1])
    assert not _same(kept, without)
    for key, value in kept.items():
        part, rest = _part(key)
        assert torch.equal(value, averaged.means[-1][part][rest])


def test_the_mean_of_a_decoder_without_samples_keeps_its_bits(recipe: Recipe, place: Place) -> None:
    config = _config(recipe | {"sampler": {"batch_size": 2, "mode": "fixed"}}, steps=8, ema=0.9)
    seen = _Live()
    _trained(config, place, seen)
    idle = 0
    for number in range(1, 8):
        for head in config.stages[0].heads:
            before, after = seen.means[number - 1][head], seen.means[number][head]
            assert _same(before, after) is (head not in seen.grads[number])
            idle += head not in seen.grads[number] and any(head in heads for heads in seen.grads[:number])
    assert idle > 2


def _part(key: str) -> tuple[str, str]:
    """Name of the part that a key of the network's state belongs to, and its key there."""
    for head in CERBERUS.heads:
        prefix = f"decoders.{module_name(head.name)}."
        if key.startswith(prefix):
            return head.name, key.removeprefix(prefix)
    part, _, rest = key.partition(".")
    return part, rest


def test_bf16_is_the_arithmetic_and_not_the_weights(recipe: Recipe, place: Place) -> None:
    exact, coarse = _config(recipe), _config(recipe, {"precision": "bf16"})
    network = first_network(exact)
    batch = next(iter(stage_batches(network, exact, place)))
    losses = [stage_module(network, config, place).losses(batch) for config in (exact, coarse)]
    for name, loss in losses[0].items():
        assert losses[1][name].dtype is torch.float32
        assert losses[1][name].item() != loss.item()
        torch.testing.assert_close(losses[1][name], loss, rtol=0.05, atol=0.02)
    trained = _trained(coarse, place)
    assert not _same(trained, _trained(exact, place))
    assert {value.dtype for key, value in trained.items() if key.endswith("weight")} == {torch.float32}


def test_forms_of_the_subtyping_loss_differ(recipe: Recipe, place: Place) -> None:
    heads = {"heads": ["nuclei.type"], "freeze": True}
    forms = [
        _config(recipe, {"subtyping_loss": form}, **heads) for form in ("masked_ce_dice", "ce_dice", "ce")
    ]
    network = first_network(forms[0])
    batch = next(iter(stage_batches(network, forms[0], place)))
    values = [stage_module(network, form, place).losses(batch)["nuclei.type"].item() for form in forms]
    assert len(set(values)) == 3


def test_an_unknown_form_or_optimiser_is_refused(recipe: Recipe) -> None:
    for option in ({"optimizer": "sgd"}, {"schedule": "linear"}, {"accumulate": 0}, {"ema": 1.0}):
        with pytest.raises(UsageError):
            _config(recipe, **option)
    with pytest.raises(UsageError, match="precision"):
        _config(recipe, {"precision": 16})


def test_a_batch_has_a_sample_for_every_device(recipe: Recipe, place: Place) -> None:
    config = _config(recipe, {"devices": 4})
    with pytest.raises(UsageError, match="batch_size of at least 4, one sample per device, found 3"):
        stage_sampler(first_network(config), config, place.store, config.stages[0])


def test_a_job_of_a_cluster_trains_as_any_process(
    recipe: Recipe, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handlers(Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.size, self.requeue = trainer.world_size, signal.getsignal(signal.SIGUSR1)

    config, seen = _config(recipe), Handlers()
    plain = _trained(config, place)
    job = {"JOB_ID": "7", "JOB_NAME": "train", "NTASKS": "4", "PROCID": "1", "LOCALID": "1", "NODEID": "0"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert _same(plain, _trained(config, place, seen))
    assert (seen.size, seen.requeue) == (1, signal.SIG_DFL)


@pytest.mark.parametrize("kept", [0, 1, 500])
def test_a_damaged_point_to_go_on_from_is_named(tmp_path: Path, kept: int) -> None:
    torch.save({"global_step": 4, "weights": torch.zeros(1000)}, tmp_path / RESUME_FILE)
    assert steps_done(tmp_path, 10) == 4
    whole = (tmp_path / RESUME_FILE).read_bytes()
    (tmp_path / RESUME_FILE).write_bytes(whole[:kept])
    with pytest.raises(OutputError, match=r"last\.ckpt: expected .*, found a damaged file; remove it"):
        steps_done(tmp_path, 10)


def test_ctrl_c_reaches_the_caller_and_works_again(recipe: Recipe, place: Place) -> None:
    class Press(Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 2:
                signal.raise_signal(signal.SIGINT)

    config = _config(recipe, {"save_every": 1})
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        _trained(config, place, Press())
    assert signal.getsignal(signal.SIGINT) is before
    assert steps_done(place.folder, 3) == 2


def test_a_batch_of_patches_has_more_than_one(recipe: Recipe, place: Place) -> None:
    config = _config(recipe, {"sampler": {"batch_size": 1}})
    network, stage = first_network(config), config.stages[0]
    with pytest.raises(UsageError, match=r"at least 2 to train tissue\.patch, found 1; raise it"):
        stage_sampler(network, config, place.store, stage)
    rest = replace(stage, heads=tuple(name for name in stage.heads if name != "tissue.patch"))
    stage_sampler(network, config, place.store, rest)
    records = tuple(record for record in place.store.records if record.patch_class is None)
    stage_sampler(network, config, Store(place.store.path, records), stage)


def test_pictures_and_validation_do_not_disturb(recipe: Recipe, place: Place) -> None:
    watched = {"pictures_every": 1, "validation": {"every": 2, "images": 1}}
    assert _same(_trained(_config(recipe), place), _trained(_config(recipe, watched), place))
    assert len(list((place.out / "pictures").glob("stage-1-step-*.png"))) == 3


def test_parts_are_what_learns(recipe: Recipe, place: Place) -> None:
    config = _config(recipe, heads=["gland.type"], freeze=True)
    network: Network = first_network(config)
    assert set(stage_module(network, config, place).parts) == {"gland.type"}
    assert not any(p.requires_grad for p in network.encoder.parameters())
