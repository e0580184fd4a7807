"""The network that a run begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import torch

from histocerb.core.errors import UsageError
from histocerb.core.tasks import PRESETS, Grouping, HeadKind, Task, TaskSpec
from histocerb.models.checkpoint import Checkpoint, load_checkpoint
from histocerb.models.config import NETWORKS, NetworkConfig
from histocerb.models.network import Network
from histocerb.models.pretrained import load_encoder
from histocerb.training.config import PostprocChange, TrainConfig, trained_heads
from histocerb.training.frequencies import take_back, told


def first_network(config: TrainConfig) -> Network:
    """The network of a run before its first step, weights drawn or loaded.

    Raises:
        UsageError: unknown names, or a `start_from` of another network.
        CheckpointError: weights that cannot be read.
    """
    if config.start_from and config.encoder_weights:
        raise UsageError("expected start_from or encoder_weights, found both; remove the latter")
    source = load_checkpoint(config.start_from) if config.start_from else None
    spec = run_spec(config, source.network.spec if source else None)
    torch.manual_seed(config.seed)
    network = Network(spec, network_config(config.network))
    if source is not None:
        _take_over(network, source)
        take_back(network, told(source), trained_heads(config))
    if config.encoder_weights is not None:
        load_encoder(network, config.encoder_weights)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def network_config(choice: str | NetworkConfig) -> NetworkConfig:
    """A network by name of its preset, or as it stands."""
    if isinstance(choice, NetworkConfig):
        return choice
    if choice not in NETWORKS:
        raise UsageError(f"there is no network {choice!r}; known are {', '.join(NETWORKS)}")
    return NETWORKS[choice]


def run_spec(config: TrainConfig, started: TaskSpec | None = None) -> TaskSpec:
    """The tasks of the model: with the heads that a stage trains, and those that it started with.

    Constants of post-processing are those of `started`, where it has the task, with the changes of the run.

    Raises:
        UsageError: an unknown preset or head, or a head of `started` that the preset has otherwise.
    """
    if config.tasks not in PRESETS:
        raise UsageError(f"there is no task preset {config.tasks!r}; known are {', '.join(PRESETS)}")
    spec = PRESETS[config.tasks]
    known = {head.name: head for head in spec.heads}
    trained = trained_heads(config)
    for name in (*config.loss_weights, *sorted(trained)):
        if name not in known:
            raise UsageError(f"there is no head {name!r}; {spec.name} has {', '.join(known)}")
    _check_task_weights(config, spec)
    kept = started.heads if started else ()
    for head in kept:
        if known.get(head.name) != head:
            raise UsageError(
                f"expected a start_from with heads of {spec.name}, found {head.name!r} with other channels; "
                "set tasks to its preset"
            )
    if config.calibrate and any(change.class_temperature is not None for change in config.postproc.values()):
        raise UsageError("expected a class_temperature or calibrate, found both; remove one")
    spec = spec.only({*trained, *(head.name for head in kept)})
    if started:
        spec = _inherited(spec, started, config)
        _check_contours(spec, started, config)
    return _changed(spec, config.postproc)


def _check_contours(spec: TaskSpec, started: TaskSpec, config: TrainConfig) -> None:
    """Where contours of `start_from` end can change only as its instance head learns other ones."""
    for task in spec.objects:
        change, head = config.postproc.get(task.name), task.head(HeadKind.INSTANCE)
        assert task.postproc is not None
        if change is None or change.outer_contour in (None, task.postproc.outer_contour) or head is None:
            continue
        if head in started.heads and head.name not in trained_heads(config):
            raise UsageError(
                f"expected a stage that trains {head.name}, as postproc.{task.name} changes outer_contour of "
                "start_from, found none; add one or leave outer_contour out"
            )


def _check_task_weights(config: TrainConfig, spec: TaskSpec) -> None:
    """A sampler weighs tasks with objects, of the preset if not of its stage."""
    objects = [task.name for task in spec.objects]
    for sampler in (config.sampler, *(stage.sampler for stage in config.stages)):
        for name in sampler.task_weights if sampler else ():
            if name not in objects:
                raise UsageError(f"expected task_weights of {', '.join(objects)}, found {name!r}; remove it")


def _inherited(spec: TaskSpec, started: TaskSpec, config: TrainConfig) -> TaskSpec:
    """The tasks with the constants of post-processing of a model that the run starts from.

    The preset's stay where it groups pixels otherwise, as constants then mean something else. A temperature
    fits the answers that it was fitted to.
    """
    tasks = []
    for task in spec.tasks:
        found = next((each.postproc for each in started.tasks if each.name == task.name), None)
        if found is not None and task.postproc is not None and found.grouping is task.postproc.grouping:
            head = task.head(HeadKind.TYPE)
            if head is not None and _learns(head.name, config):
                found = replace(found, class_temperature=1.0)
            task = replace(task, postproc=found)
        tasks.append(task)
    return replace(spec, tasks=tuple(tasks))


def _learns(head: str, config: TrainConfig) -> bool:
    """Whether a run changes the answers of a pixel head: it learns, or what it is on."""
    owner = network_config(config.network).branches.get(head, head)
    return any(not stage.freeze or {head, owner} & set(stage.heads) for stage in config.stages)


def _changed(spec: TaskSpec, changes: Mapping[str, PostprocChange]) -> TaskSpec:
    """The tasks with other constants of post-processing."""
    objects = [task.name for task in spec.objects]
    for name in changes:
        if name not in objects:
            raise UsageError(f"expected postproc of {', '.join(objects)}, found {name!r}; change it")
    return replace(spec, tasks=tuple(_task(task, changes.get(task.name)) for task in spec.tasks))


def _task(task: Task, change: PostprocChange | None) -> Task:
    if change is None or task.postproc is None:
        return task
    values = {key: value for key, value in asdict(change).items() if value is not None}
    idle = sorted({"marker_threshold", "min_marker_px"} & set(values))
    if idle and task.postproc.grouping is Grouping.GROW:
        raise UsageError(
            f"expected constants that {task.name} has, found {idle[0]}, which is of markers; remove it"
        )
    return replace(task, postproc=replace(task.postproc, **values))


def _take_over(network: Network, source: Checkpoint) -> None:
    """Copy the weights of a checkpoint, which must all have a place; new are other heads, and `detail`."""
    _check_branches(network, source)
    own, state = network.state_dict(), source.network.state_dict()
    for key, value in state.items():
        if key not in own or own[key].shape != value.shape:
            found = list(own[key].shape) if key in own else "none"
            raise UsageError(
                f"expected the network of start_from ({source.name}), with {key!r} of shape "
                f"{list(value.shape)}, found {found}; set network to that of the checkpoint"
            )
    shared = ("encoder.", "project.")
    new = next((key for key in own if key.startswith(shared) and key not in state), None)
    if new is not None:
        raise UsageError(
            f"expected the network of start_from ({source.name}), found {new!r} besides; "
            "set network to that of the checkpoint"
        )
    network.load_state_dict(own | state)


def _check_branches(network: Network, source: Checkpoint) -> None:
    """Heads of the checkpoint end the decoders that they ended: keys and shapes of others may be the same."""
    for head in source.network.spec.heads:
        before, now = (each.config.branches.get(head.name) for each in (source.network, network))
        if before != now:
            raise UsageError(
                f"expected the network of start_from ({source.name}), with {head.name!r} on "
                f"{_decoder(before)}, found it on {_decoder(now)}; "
                "set branches of network to those of the checkpoint"
            )


def _decoder(owner: str | None) -> str:
    return "a decoder of its own" if owner is None else f"that of {owner!r}"
