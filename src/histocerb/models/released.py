"""The checkpoint released with the paper, as a network of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from histocerb.core.errors import CheckpointError
from histocerb.core.tasks import CERBERUS, HeadKind, TaskSpec
from histocerb.models.checkpoint import fill
from histocerb.models.config import NETWORKS, NetworkConfig
from histocerb.models.network import Network, module_name
from histocerb.models.pretrained import encoder_key
from histocerb.models.torch_file import read_torch_file

STATE_KEY = "desc"
"""Key of the state dict in the released file."""

_RELEASED_TASKS = dict(
    zip((task.name for task in CERBERUS.tasks), ("Nuclei", "Gland", "Lumen", "Patch-Class"), strict=True)
)
"""Names of the branches in the released file, in the order of the preset's tasks."""
_UNUSED = re.compile(r"backbone\.fc\.")


def import_released(weights: Path, settings: Path | None = None) -> Network:
    """Network of the paper with the released weights.

    Args:
        weights: `weights.tar` (zip or legacy layout; keys may carry a `module.` prefix).
        settings: `settings.yml` beside it, which names the encoder; ResNet-34 without it.

    Raises:
        CheckpointError: anything else, naming the first key that does not fit.
    """
    document = read_torch_file(weights)
    state = document.get(STATE_KEY)
    if not isinstance(state, dict):
        raise CheckpointError(
            f"{weights} has no state dict under {STATE_KEY!r} (found {_found(document)}): "
            "it is not the checkpoint that the paper's authors released"
        )
    network = Network(CERBERUS, _released_config(settings))
    fill(network, _renamed(state, network.spec, weights), str(weights))
    return network.eval()


def _found(document: dict[str, Any]) -> str:
    keys = [str(key) for key in list(document)[:3]]
    return ", ".join(keys) + (", ..." if len(document) > 3 else "") if keys else "nothing"


def _released_config(settings: Path | None) -> NetworkConfig:
    if settings is None:
        return NETWORKS["resnet34"]
    try:
        document = yaml.safe_load(settings.read_text())
        name = str(document["model_kwargs"]["encoder_backbone_name"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{settings} does not say model_kwargs.encoder_backbone_name: expected the released settings.yml"
        ) from error
    config = NETWORKS.get(name.lower().replace("-", "").replace("_", ""))
    if config is None:
        raise CheckpointError(f"{settings} names the encoder {name!r}; known are {', '.join(NETWORKS)}")
    return config


def _renamed(state: dict[Any, Any], spec: TaskSpec, origin: Path) -> dict[str, Tensor]:
    """Our key for every released key; unknown ones keep their name, so that they are named when refused."""
    rules = _rules(spec)
    renamed: dict[str, Tensor] = {}
    for raw, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{origin}: {raw!r} is not a tensor")
        key = _without_prefix(str(raw))
        if _UNUSED.match(key):
            continue
        for prefix, replacement in rules:
            if key.startswith(prefix):
                key = replacement + key[len(prefix) :]
                break
        renamed[_within_decoder(key)] = value
    return renamed


def _rules(spec: TaskSpec) -> list[tuple[str, str]]:
    """Prefixes of the released names and of ours."""
    rules = [("conv_map.", "project.")]
    for task in spec.tasks:
        for head in task.heads:
            ours = f"decoders.{module_name(head.name)}"
            released = _RELEASED_TASKS[task.name]
            if head.kind is HeadKind.PATCH:
                rules.append((f"decoder_head.{released}.", f"{ours}."))
                continue
            typed = head.kind is HeadKind.TYPE
            branch = f"{released}#TYPE" if typed else released
            rules.append((f"decoder_head.{branch}.", f"{ours}.steps."))
            rules.append((f"output_head.{branch}.{'TYPE' if typed else 'INST'}.x.", f"{ours}.head."))
    return rules


def _within_decoder(key: str) -> str:
    key = re.sub(r"(\.steps\.\d+)\.block\.", r"\1.", key)
    key = re.sub(r"\.head\.0\.block\.0\.", ".head.0.", key)
    key = re.sub(r"\.head\.1\.conv\.", ".head.1.", key)
    if key.startswith("backbone."):
        return "encoder." + encoder_key(key.removeprefix("backbone."))
    return key


def _without_prefix(key: str) -> str:
    return key.removeprefix("module.")
