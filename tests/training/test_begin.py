from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from histocerb.core.config_file import validated
from histocerb.core.errors import CheckpointError, UsageError
from histocerb.core.tasks import CERBERUS, CERBERUS_ERODED, TaskSpec
from histocerb.models.checkpoint import load_checkpoint, save_checkpoint
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network
from histocerb.training.begin import first_network, run_spec
from histocerb.training.config import PostprocChange, TrainConfig

Recipe = dict[str, Any]


def _config(recipe: Recipe, heads: list[str], **run: Any) -> TrainConfig:
    stages = [{"heads": heads, "steps": 2}]
    return validated(recipe | {"stages": stages} | run, TrainConfig, "recipe")


def _checkpoint(folder: Path, config: NetworkConfig, spec: TaskSpec = CERBERUS) -> Network:
    torch.manual_seed(5)
    network = Network(spec, config)
    save_checkpoint(folder, network)
    return network


def test_the_model_has_the_heads_that_are_trained(recipe: Recipe) -> None:
    network = first_network(_config(recipe, ["gland.instance"]))
    assert [head.name for head in network.spec.heads] == ["gland.instance"]
    assert list(network.decoders) == ["gland_instance"]


def test_a_run_of_all_heads_has_the_whole_preset(recipe: Recipe) -> None:
    assert run_spec(validated(recipe, TrainConfig, "recipe")) == CERBERUS


def test_task_weights_are_of_tasks_with_objects(recipe: Recipe) -> None:
    weights = {"sampler": {"task_weights": {"gland": 2.0}}}
    run_spec(_config(recipe, ["nuclei.instance"], **weights))
    stage = {"heads": ["nuclei.instance"], "steps": 2, "sampler": {"task_weights": {"tissue": 2.0}}}
    with pytest.raises(UsageError, match=r"task_weights of nuclei, gland, lumen, found 'tissue'"):
        run_spec(validated(recipe | {"stages": [stage]}, TrainConfig, "recipe"))


def test_weights_depend_on_the_seed(recipe: Recipe) -> None:
    first, again, other = (
        first_network(_config(recipe, ["gland.instance"], seed=seed)).project.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_starts_from_a_checkpoint_with_new_heads(recipe: Recipe, tiny: NetworkConfig, tmp_path: Path) -> None:
    segmenting = CERBERUS.only([head.name for head in CERBERUS.heads if not head.name.endswith("type")])
    source = _checkpoint(tmp_path / "before", tiny, segmenting)
    config = _config(recipe, ["nuclei.type"], start_from=str(tmp_path / "before"))
    network = first_network(config)
    names = {head.name for head in network.spec.heads}
    assert names == {*(head.name for head in segmenting.heads), "nuclei.type"}
    state = network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in source.state_dict().items())


def test_starts_from_a_checkpoint_with_a_new_layer_on_one_of_its_decoders(
    recipe: Recipe, tiny: NetworkConfig, tmp_path: Path
) -> None:
    source = _checkpoint(tmp_path / "before", tiny, CERBERUS.only(["nuclei.instance"]))
    layered = recipe["network"] | {"branches": {"nuclei.type": "nuclei.instance"}}
    config = _config(recipe, ["nuclei.type"], start_from=str(tmp_path / "before"), network=layered)
    state = first_network(config).state_dict()
    assert all(torch.equal(state[key], value) for key, value in source.state_dict().items())
    new = [key for key in state if key not in source.state_dict()]
    assert new
    assert all(key.startswith("decoders.nuclei_type.head.") for key in new)


@pytest.mark.parametrize("change", [{"head_width": 16}, {"encoder": {"widths": [16, 16, 16, 16]}}], ids=str)
def test_a_checkpoint_of_another_network_is_refused(
    recipe: Recipe, tiny: NetworkConfig, tmp_path: Path, change: Recipe
) -> None:
    _checkpoint(tmp_path / "before", tiny)
    encoder = recipe["network"]["encoder"] | change.get("encoder", {})
    network = recipe["network"] | change | {"encoder": encoder}
    config = _config(recipe, ["gland.type"], start_from=str(tmp_path / "before"), network=network)
    with pytest.raises(UsageError, match=r"expected the network of start_from .* set network"):
        first_network(config)


def test_a_deeper_network_is_refused(recipe: Recipe, tiny: NetworkConfig, tmp_path: Path) -> None:
    _checkpoint(tmp_path / "before", tiny)
    encoder = recipe["network"]["encoder"] | {"blocks": [1, 1, 2]}
    network = recipe["network"] | {"encoder": encoder}
    config = _config(recipe, ["gland.type"], start_from=str(tmp_path / "before"), network=network)
    with pytest.raises(UsageError, match="set network"):
        first_network(config)


@pytest.mark.parametrize("branches", [{}, {"gland.type": "nuclei.instance"}], ids=str)
def test_a_head_that_ends_another_decoder_is_refused(
    recipe: Recipe, tiny: NetworkConfig, tmp_path: Path, branches: dict[str, str]
) -> None:
    _checkpoint(tmp_path / "before", replace(tiny, branches={"gland.type": "gland.instance"}))
    network = recipe["network"] | {"branches": {"gland.type": "gland.instance"}}
    config = _config(recipe, ["nuclei.instance"], start_from=str(tmp_path / "before"), network=network)
    first_network(config)
    other = _config(
        recipe, ["nuclei.instance"], start_from=config.start_from, network=network | {"branches": branches}
    )
    with pytest.raises(UsageError, match=r"'gland\.type' on that of 'gland\.instance', found it on .* set"):
        first_network(other)


def test_a_checkpoint_with_other_channels_is_refused(
    recipe: Recipe, tiny: NetworkConfig, tmp_path: Path
) -> None:
    gland = CERBERUS.task("gland")
    heads = tuple(replace(head, channels=(*head.channels, "more")) for head in gland.heads)
    _checkpoint(tmp_path / "before", tiny, TaskSpec("mine", (replace(gland, heads=heads),)))
    config = _config(recipe, ["nuclei.instance"], start_from=str(tmp_path / "before"))
    with pytest.raises(UsageError, match=r"'gland\.instance' with other channels"):
        first_network(config)


def test_encoder_weights_fill_the_encoder_only(recipe: Recipe, tiny: NetworkConfig, tmp_path: Path) -> None:
    torch.manual_seed(9)
    donor = Network(CERBERUS, tiny).encoder.state_dict()
    names = {key: _torchvision(key) for key in donor}
    save_file({names[key]: value.contiguous() for key, value in donor.items()}, tmp_path / "w.safetensors")
    config = _config(recipe, ["gland.instance"], encoder_weights=str(tmp_path / "w.safetensors"))
    network, plain = first_network(config), first_network(replace(config, encoder_weights=None))
    assert all(torch.equal(value, donor[key]) for key, value in network.encoder.state_dict().items())
    assert torch.equal(network.project.weight, plain.project.weight)


def _torchvision(key: str) -> str:
    for stage in range(4):
        key = key.replace(f"stages.{stage}.", f"layer{stage + 1}.")
    return key


def test_two_sources_are_one_too_many(recipe: Recipe) -> None:
    config = _config(recipe, ["gland.type"], start_from="here", encoder_weights="there.pth")
    with pytest.raises(UsageError, match="found both"):
        first_network(config)


def test_a_missing_checkpoint_is_named(recipe: Recipe) -> None:
    with pytest.raises(CheckpointError, match="no model 'nowhere'"):
        first_network(_config(recipe, ["gland.type"], start_from="nowhere"))


def test_constants_of_post_processing_become_part_of_the_model(recipe: Recipe, tmp_path: Path) -> None:
    changes = {"gland": {"threshold": 0.4}, "nuclei": {"marker_threshold": 0.6, "class_temperature": 1.5}}
    config = validated(recipe | {"postproc": changes}, TrainConfig, "recipe")
    network = first_network(config)
    for task in CERBERUS.tasks:
        found, usual = network.spec.task(task.name).postproc, task.postproc
        assert found == (replace(usual, **changes[task.name]) if task.name in changes else usual)
    save_checkpoint(tmp_path, network, {})
    assert load_checkpoint(tmp_path).network.spec == network.spec
    with pytest.raises(UsageError, match="'tissue'"):
        first_network(replace(config, postproc={"tissue": PostprocChange(threshold=0.4)}))
    for change in (PostprocChange(marker_threshold=0.3), PostprocChange(min_marker_px=3)):
        with pytest.raises(UsageError, match="constants that gland has, found m"):
            first_network(replace(config, postproc={"gland": change}))


def test_contours_of_the_checkpoint_end_where_they_were_learned_to(
    recipe: Recipe, tiny: NetworkConfig, tmp_path: Path
) -> None:
    _checkpoint(tmp_path / "before", tiny, CERBERUS.only(["nuclei.instance"]))
    change = {"start_from": str(tmp_path / "before"), "postproc": {"nuclei": {"outer_contour": False}}}
    other, learned = (
        validated(
            recipe | change | {"stages": [{"heads": [head], "steps": 2, "freeze": True}]},
            TrainConfig,
            "recipe",
        )
        for head in ("gland.instance", "nuclei.instance")
    )
    with pytest.raises(UsageError, match=r"stage that trains nuclei\.instance"):
        first_network(other)
    network = first_network(learned)
    assert not network.spec.task("nuclei").postproc.outer_contour
    save_checkpoint(tmp_path / "after", network, {})
    again = replace(other, start_from=str(tmp_path / "after"))
    assert not first_network(again).spec.task("nuclei").postproc.outer_contour


def _tuned(spec: TaskSpec) -> TaskSpec:
    """With constants of post-processing that no preset has."""
    tasks = [
        replace(task, postproc=task.postproc and replace(task.postproc, threshold=0.4, class_temperature=1.5))
        for task in spec.tasks
    ]
    return replace(spec, tasks=tuple(tasks))


def _constants(spec: TaskSpec) -> dict[str, tuple[float, float]]:
    """Threshold and temperature per task."""
    found = {task.name: task.postproc for task in spec.tasks}
    return {name: (each.threshold, each.class_temperature) for name, each in found.items() if each}


def test_constants_of_the_checkpoint_are_kept(recipe: Recipe, tiny: NetworkConfig, tmp_path: Path) -> None:
    _checkpoint(tmp_path / "before", tiny, _tuned(CERBERUS.only(["nuclei.instance", "nuclei.type"])))
    stages = [{"heads": ["gland.instance"], "steps": 2, "freeze": True}]
    config = validated(
        recipe | {"start_from": str(tmp_path / "before"), "stages": stages}, TrainConfig, "recipe"
    )
    assert _constants(first_network(config).spec) == {"nuclei": (0.4, 1.5), "gland": (0.55, 1.0)}
    changed = replace(config, postproc={"nuclei": PostprocChange(threshold=0.6)})
    assert _constants(first_network(changed).spec)["nuclei"] == (0.6, 1.5)


@pytest.mark.parametrize(
    ("stage", "kept"),
    [
        ({"heads": ["nuclei.type"], "freeze": True}, ["gland"]),
        ({"heads": ["nuclei.instance"], "freeze": True}, ["nuclei", "gland"]),
        ({"heads": ["gland.instance"], "freeze": True}, ["nuclei"]),  # gland.type is a layer on it
        ({"heads": ["lumen.instance"]}, []),  # the encoder learns
    ],
    ids=str,
)
def test_a_temperature_is_kept_where_answers_are(recipe: Recipe, stage: Recipe, kept: list[str]) -> None:
    network = recipe["network"] | {"branches": {"gland.type": "gland.instance"}}
    stages = [stage | {"steps": 2}]
    config = validated(recipe | {"stages": stages, "network": network}, TrainConfig, "recipe")
    found = _constants(run_spec(config, _tuned(CERBERUS)))
    expected = {name: 1.5 if name in kept else 1.0 for name in ("nuclei", "gland")}
    assert {name: found[name] for name in expected} == {name: (0.4, t) for name, t in expected.items()}
    given = replace(config, postproc={"nuclei": PostprocChange(class_temperature=2.0)})
    assert _constants(run_spec(given, _tuned(CERBERUS)))["nuclei"] == (0.4, 2.0)


def test_constants_for_another_grouping_are_those_of_the_preset(recipe: Recipe) -> None:
    config = _config(recipe, ["nuclei.instance"], tasks="cerberus-eroded")
    spec = run_spec(config, _tuned(CERBERUS))
    assert spec.task("nuclei").postproc == CERBERUS_ERODED.task("nuclei").postproc
    assert _constants(spec)["lumen"] == (0.4, 1.5)


def test_a_temperature_is_either_given_or_fitted(recipe: Recipe) -> None:
    changes = {"nuclei": {"class_temperature": 1.5}}
    config = validated(recipe | {"postproc": changes, "calibrate": True}, TrainConfig, "recipe")
    with pytest.raises(UsageError, match="found both"):
        first_network(config)
