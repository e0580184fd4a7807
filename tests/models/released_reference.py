"""The released network written a second time, as plain functions of a state dict by its key names."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]
PIXEL_HEADS = {
    "Gland": ("INST", 3),
    "Lumen": ("INST", 3),
    "Nuclei": ("INST", 3),
    "Nuclei#TYPE": ("TYPE", 7),
    "Gland#TYPE": ("TYPE", 3),
}
OUR_HEADS = {
    "Gland": "gland.instance",
    "Lumen": "lumen.instance",
    "Nuclei": "nuclei.instance",
    "Nuclei#TYPE": "nuclei.type",
    "Gland#TYPE": "gland.type",
}
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
WIDTHS = (64, 64, 128, 256, 512)


def random_state(depth: int = 34, seed: int = 0) -> State:
    """A state dict with the released names and shapes and random numbers."""
    state: State = {}
    generator = torch.Generator().manual_seed(seed)

    def tensor(key: str, *shape: int) -> None:
        fan = max(1, torch.Size(shape[1:]).numel())
        state[key] = torch.randn(shape, generator=generator) * (2 / fan) ** 0.5

    def norm(key: str, width: int) -> None:
        state[f"{key}.weight"] = torch.rand(width, generator=generator) + 0.5
        state[f"{key}.bias"] = torch.randn(width, generator=generator) * 0.1
        state[f"{key}.running_mean"] = torch.randn(width, generator=generator) * 0.1
        state[f"{key}.running_var"] = torch.rand(width, generator=generator) + 0.5
        state[f"{key}.num_batches_tracked"] = torch.tensor(7)

    tensor("backbone.conv1.weight", 64, 3, 7, 7)
    norm("backbone.bn1", 64)
    for stage, count in enumerate(BLOCKS[depth], start=1):
        for block in range(count):
            wide, first = WIDTHS[stage], WIDTHS[stage - 1] if block == 0 else WIDTHS[stage]
            key = f"backbone.layer{stage}.{block}"
            tensor(f"{key}.conv1.weight", wide, first, 3, 3)
            tensor(f"{key}.conv2.weight", wide, wide, 3, 3)
            norm(f"{key}.bn1", wide)
            norm(f"{key}.bn2", wide)
            if block == 0 and stage > 1:
                tensor(f"{key}.downsample.0.weight", wide, first, 1, 1)
                norm(f"{key}.downsample.1", wide)
    tensor("backbone.fc.weight", 1000, 512)
    tensor("backbone.fc.bias", 1000)
    tensor("conv_map.weight", 256, 512, 1, 1)
    steps = (((256, 256), (256, 128)), ((128, 128), (128, 64)), ((64, 64), (64, 64)), ((64, 64), (64, 64)))
    for name, (kind, channels) in PIXEL_HEADS.items():
        for index, convs in enumerate(steps):
            for position, (first, wide) in enumerate(convs):
                key = f"decoder_head.{name}.{index}.block.{position}"
                tensor(f"{key}.conv.weight", wide, first, 3, 3)
                tensor(f"{key}.conv.bias", wide)
                norm(f"{key}.bn", wide)
        head = f"output_head.{name}.{kind}.x"
        tensor(f"{head}.0.block.0.conv.weight", 96, 64, 1, 1)
        tensor(f"{head}.0.block.0.conv.bias", 96)
        norm(f"{head}.0.block.0.bn", 96)
        tensor(f"{head}.1.conv.weight", channels, 96, 1, 1)
        tensor(f"{head}.1.conv.bias", channels)
    patch = "decoder_head.Patch-Class"
    norm(f"{patch}.bn1", 512)
    tensor(f"{patch}.conv1.weight", 256, 512, 1, 1)
    tensor(f"{patch}.conv1.bias", 256)
    norm(f"{patch}.bn2", 256)
    tensor(f"{patch}.conv2.weight", 9, 256, 1, 1)
    tensor(f"{patch}.conv2.bias", 9)
    return state


def _norm(state: State, key: str, x: Tensor) -> Tensor:
    return F.batch_norm(
        x,
        state[f"{key}.running_mean"],
        state[f"{key}.running_var"],
        state[f"{key}.weight"],
        state[f"{key}.bias"],
        eps=1e-5,
    )


def _encode(state: State, images: Tensor, depth: int) -> list[Tensor]:
    x0 = F.relu(
        _norm(state, "backbone.bn1", F.conv2d(images / 255, state["backbone.conv1.weight"], padding=3))
    )
    features, out = [x0], F.max_pool2d(x0, 3, 2, 1)
    for stage, count in enumerate(BLOCKS[depth], start=1):
        for block in range(count):
            key = f"backbone.layer{stage}.{block}"
            stride = 2 if block == 0 and stage > 1 else 1
            inner = F.conv2d(out, state[f"{key}.conv1.weight"], stride=stride, padding=1)
            inner = F.conv2d(
                F.relu(_norm(state, f"{key}.bn1", inner)), state[f"{key}.conv2.weight"], padding=1
            )
            if f"{key}.downsample.0.weight" in state:
                out = _norm(
                    state,
                    f"{key}.downsample.1",
                    F.conv2d(out, state[f"{key}.downsample.0.weight"], stride=stride),
                )
            out = F.relu(_norm(state, f"{key}.bn2", inner) + out)
        features.append(out)
    return features


def _block(state: State, key: str, x: Tensor, padding: int) -> Tensor:
    out = F.conv2d(x, state[f"{key}.conv.weight"], state[f"{key}.conv.bias"], padding=padding)
    return F.relu(_norm(state, f"{key}.bn", out))


def forward(state: State, images: Tensor, depth: int = 34) -> dict[str, Tensor]:
    """Logits per head of ours; tissue of the central 9 x 9 features as N x 9."""
    features = _encode(state, images, depth)
    logits = {}
    for name, (kind, _) in PIXEL_HEADS.items():
        out = F.conv2d(features[4], state["conv_map.weight"])
        for index, skip in enumerate(features[3::-1]):
            out = F.interpolate(out, scale_factor=2.0, mode="bilinear", align_corners=False) + skip
            for position in (0, 1):
                out = _block(state, f"decoder_head.{name}.{index}.block.{position}", out, 1)
        head = f"output_head.{name}.{kind}.x"
        out = _block(state, f"{head}.0.block.0", out, 0)
        logits[OUR_HEADS[name]] = F.conv2d(out, state[f"{head}.1.conv.weight"], state[f"{head}.1.conv.bias"])
    side = features[4].shape[-1]
    start = (side - 9) // 2
    pooled = features[4][:, :, start : start + 9, start : start + 9].mean((2, 3), keepdim=True)
    patch = "decoder_head.Patch-Class"
    hidden = F.conv2d(
        F.relu(_norm(state, f"{patch}.bn1", pooled)),
        state[f"{patch}.conv1.weight"],
        state[f"{patch}.conv1.bias"],
    )
    hidden = F.relu(_norm(state, f"{patch}.bn2", hidden))
    logits["tissue.patch"] = F.conv2d(
        hidden, state[f"{patch}.conv2.weight"], state[f"{patch}.conv2.bias"]
    ).flatten(1)
    return logits
