"""Checkpoints: a folder with `weights.safetensors` and `spec.json`.

`spec.json` holds the tasks, the network's configuration, free-form facts about the training and the sha256
of the weights; nothing is ever unpickled. Weights may be stored as float16; they are loaded as float32.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from histocerb.core.errors import CheckpointError, OutputError, UsageError
from histocerb.core.tasks import TaskSpec
from histocerb.models.config import NetworkConfig
from histocerb.models.network import Network

WEIGHTS_FILE = "weights.safetensors"
SPEC_FILE = "spec.json"
FORMAT = 1
PACKAGED = Path(__file__).parent / "weights"
"""Models that ship with the package, one folder each."""

_SPEC = TypeAdapter(TaskSpec)
_CONFIG = TypeAdapter(NetworkConfig)


@dataclass(frozen=True)
class Checkpoint:
    """A network with its weights, ready for inference.

    Attributes:
        name: name of the packaged model or of the folder.
        network: in eval mode, float32, on the CPU.
        sha256: of the weights file; results name it.
        facts: what its maker wrote down (data, terms, figures).
    """

    name: str
    network: Network
    sha256: str
    facts: dict[str, Any]


def packaged_models() -> list[str]:
    """Names of the models inside the package."""
    return sorted(path.parent.name for path in PACKAGED.glob(f"*/{SPEC_FILE}"))


def save_checkpoint(
    folder: Path, network: Network, facts: dict[str, Any] | None = None, *, half: bool = False
) -> str:
    """Write a checkpoint folder; each file appears whole or not at all.

    Args:
        folder: created when missing.
        network: its weights are written as they are.
        facts: anything JSON can hold, kept in spec.json.
        half: store floating point weights as float16.

    Returns:
        sha256 of the weights file.

    Raises:
        OutputError: the folder cannot be written.
    """
    state = {key: _stored(value, half) for key, value in network.state_dict().items()}
    blob = save_safetensors(state)
    digest = hashlib.sha256(blob).hexdigest()
    document = {
        "format": FORMAT,
        "weights_sha256": digest,
        "network": _CONFIG.dump_python(network.config, mode="json"),
        "tasks": _SPEC.dump_python(network.spec, mode="json"),
        "facts": facts or {},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / WEIGHTS_FILE, blob)
        _write(folder / SPEC_FILE, json.dumps(document, indent=1).encode())
    except OSError as error:
        raise OutputError(
            f"expected a folder to write the model to, found {folder} failing ({error.strerror or error}); "
            "free space, check its rights or choose another one"
        ) from error
    return digest


def load_checkpoint(name: str | Path) -> Checkpoint:
    """Load a packaged model by name, or a checkpoint folder.

    Raises:
        CheckpointError: there is no such model, its files are damaged, or they do not fit each other.
    """
    folder = find_checkpoint(name)
    document = _read_document(folder / SPEC_FILE)
    try:
        blob = (folder / WEIGHTS_FILE).read_bytes()
        state = load_safetensors(blob)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"the weights {folder / WEIGHTS_FILE} cannot be read: {error}") from error
    digest = hashlib.sha256(blob).hexdigest()
    if digest != document["weights_sha256"]:
        raise CheckpointError(
            f"the weights {folder / WEIGHTS_FILE} do not match the sha256 in {SPEC_FILE}: expected "
            f"{document['weights_sha256'][:12]}, found {digest[:12]}; fetch or export the folder again"
        )
    try:
        spec = _SPEC.validate_python(document["tasks"])
        network = Network(spec, _CONFIG.validate_python(document["network"]))
    except (ValidationError, UsageError) as error:
        raise CheckpointError(f"{folder / SPEC_FILE} does not describe a network: {error}") from error
    fill(network, state, str(folder / WEIGHTS_FILE))
    return Checkpoint(folder.resolve().name, network.eval(), digest, document["facts"])


def find_checkpoint(name: str | Path) -> Path:
    """Folder of a packaged model (by name) or of a checkpoint (by path)."""
    folder = Path(name)
    if (folder / SPEC_FILE).is_file():
        return folder
    if str(name) in packaged_models():
        return PACKAGED / str(name)
    if folder.is_file():
        raise CheckpointError(
            f"{folder} is a file, expected a checkpoint folder; "
            "convert a released checkpoint with `histocerb model import`"
        )
    raise CheckpointError(
        f"there is no model {str(name)!r}: expected a folder with {SPEC_FILE}, or one of "
        f"{', '.join(packaged_models()) or '(none is packaged)'}"
    )


def fill(module: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Copy `state` into `module`, which must have exactly these keys and shapes.

    Raises:
        CheckpointError: naming the first key that is missing, unknown or of another shape.
    """
    own = module.state_dict()
    for key, value in own.items():
        if key not in state:
            raise CheckpointError(f"{origin} lacks the key {key!r}: it is of another network")
        if state[key].shape != value.shape:
            raise CheckpointError(
                f"{origin}: {key!r} should have shape {list(value.shape)}, found {list(state[key].shape)}"
            )
    unknown = next((key for key in state if key not in own), None)
    if unknown is not None:
        raise CheckpointError(f"{origin} has an unknown key {unknown!r}: it is of another network")
    module.load_state_dict({key: state[key].to(own[key].dtype) for key in own})


def _stored(value: Tensor, half: bool) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.to(torch.float16) if half and value.is_floating_point() else value


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise CheckpointError(
                f"{path} has format {document['format']}, this version reads {FORMAT}; update histocerb"
            )
        missing = {"weights_sha256", "network", "tasks", "facts"} - set(document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint description: {error}") from error
    if missing:
        raise CheckpointError(
            f"{path} lacks {', '.join(sorted(missing))}: it is not a checkpoint description"
        )
    return document
