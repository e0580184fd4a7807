"""Encoder weights from elsewhere.

ResNets have torchvision's names, as torchvision and timm write them; EfficientNet-lite0 has those of timm or
of the package efficientnet_lite_pytorch.

ResNets see what our networks give them, RGB from 0 to 1: the mean and SD of ImageNet are not taken off, as in
the paper. EfficientNet-lite0 sees RGB from -1 to 1, as it was trained.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from histocerb.core.errors import CheckpointError, UsageError
from histocerb.models.efficientnet import LITE0
from histocerb.models.network import Network
from histocerb.models.torch_file import read_torch_file

HUB = "hf:"
"""Begins the name of a file on the Hugging Face hub."""
HUB_FILE = "model.safetensors"
OURS_ALONE = "fine."
"""Begins the names of modules that only our encoders have."""
_COUNTER = "num_batches_tracked"
"""Buffers that old files lack; batch normalisation with a fixed momentum does not read them."""

_BLOCK = re.compile(r"(layer|_?blocks\.)\d+\.")
"""Begins the names of what a stage, or a block that is numbered through, consists of."""


def load_encoder(network: Network, source: str | Path) -> None:
    """Fill a ResNet or EfficientNet encoder.

    Classifiers and stages that the encoder does not have are left out; what the encoder has and such files
    never do (the fine convolutions beside EfficientNet-lite0) stays as it is.

    Args:
        network: its encoder is overwritten.
        source: a `.safetensors` file, a file of torch.save (the state dict itself or under `state_dict`), or
            `hf:OWNER/NAME[/FILE]` on the Hugging Face hub (FILE: `model.safetensors`).

    Raises:
        CheckpointError: the file cannot be had or read, or it is of another encoder; the first key that does
            not fit is named.
        UsageError: there are none for the encoder, or `source` names no repository.
    """
    kind = network.config.encoder.kind
    if kind not in THEIR_KEYS:
        raise UsageError(
            "encoder weights are those of a ResNet or of EfficientNet-lite0, found a network with a "
            f"{kind} encoder; leave them out"
        )
    name = str(source)
    path = _fetched(name.removeprefix(HUB)) if name.startswith(HUB) else Path(source)
    state = {str(key).removeprefix("module."): value for key, value in _state(path).items()}
    own = network.encoder.state_dict()
    theirs = THEIR_KEYS[kind](state)
    names = {key: theirs(key) for key in own if not key.startswith(OURS_ALONE)}
    for key, their_key in names.items():
        own[key] = _fitting(state, their_key, own[key], name)
    _check_blocks(state, set(names.values()), name)
    network.encoder.load_state_dict(own)


def encoder_key(key: str) -> str:
    """Our name of a torchvision key: `layer1` is stage 0 here."""
    return re.sub(r"^layer(\d+)\.", lambda match: f"stages.{int(match[1]) - 1}.", key)


def _torchvision_key(key: str) -> str:
    return re.sub(r"^stages\.(\d+)\.", lambda match: f"layer{int(match[1]) + 1}.", key)


def _lite0_key(key: str) -> str:
    """The name that efficientnet_lite_pytorch has for a key of ours: blocks are numbered through."""
    part = re.match(r"blocks\.(\d+)\.(\d+)\.(\w+)\.", key)
    if part is None:
        return "_" + key.replace("bn1", "bn0")
    group, block, module = int(part[1]), int(part[2]), part[3]
    number = sum(each.blocks for each in LITE0[:group]) + block
    return f"_blocks.{number}.{_LITE0_MODULES[group > 0][module]}.{key[part.end() :]}"


_LITE0_MODULES: tuple[dict[str, str], dict[str, str]] = (
    {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"},
    {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    | {"conv_pwl": "_project_conv", "bn3": "_bn2"},
)
"""Names of the parts of a block, in the first group and in the others."""

Rename = Callable[[str], str]

THEIR_KEYS: dict[str, Callable[[dict[str, Any]], Rename]] = {
    "resnet": lambda state: _torchvision_key,
    "efficientnet": lambda state: _lite0_key if "_conv_stem.weight" in state else str,
}
"""Per kind of encoder, how the file names what we call so."""


def _fitting(state: dict[str, Any], theirs: str, own: Tensor, name: str) -> Tensor:
    found = state.get(theirs)
    if found is None and theirs.endswith(_COUNTER):
        return own
    if not isinstance(found, Tensor):
        raise CheckpointError(
            f"{name} lacks {theirs!r}: expected the encoder that the network has, as deep, with the names of "
            "torchvision (ResNet) or timm (EfficientNet-lite0)"
        )
    if found.shape != own.shape:
        raise CheckpointError(
            f"{name}: {theirs!r} should have shape {list(own.shape)}, found {list(found.shape)}; "
            "choose the weights of this encoder"
        )
    return found


def _check_blocks(state: dict[str, Any], known: set[str], name: str) -> None:
    """The stages and blocks that the encoder has are in the file as they are in the encoder.

    What an encoder of another kind or depth has more would change what the rest of its weights mean.
    """
    ours = {match[0] for match in map(_BLOCK.match, known) if match}
    for key in state:
        match = _BLOCK.match(key)
        if match and match[0] in ours and key not in known:
            raise CheckpointError(
                f"{name}: expected the encoder that the network has, found {key!r}, for which that has no "
                "place: it is of another or a deeper one; choose the weights of this encoder"
            )


def _state(path: Path) -> dict[str, Any]:
    if path.suffix != ".safetensors":
        document = read_torch_file(path)
        inner = document.get("state_dict")
        return inner if isinstance(inner, dict) else document
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not a safetensors file, or it is truncated") from error


def _fetched(place: str) -> Path:
    """The file `OWNER/NAME[/FILE]` of the hub, downloaded once and kept in the hub's cache."""
    owner, _, rest = place.partition("/")
    name, _, file = rest.partition("/")
    if not owner or not name:
        raise UsageError(f"expected {HUB}OWNER/NAME or {HUB}OWNER/NAME/FILE, found '{HUB}{place}'")
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{HUB}{place} needs the package huggingface_hub, found none; "
            "install it with `pip install 'histocerb[hub]'` or give a file"
        ) from error
    try:
        return Path(hf_hub_download(f"{owner}/{name}", file or HUB_FILE))
    except (OSError, ValueError) as error:  # what the hub raises, offline or for an unknown name
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{HUB}{place} cannot be fetched: {reason}; check the name and the connection, or give a file"
        ) from error
