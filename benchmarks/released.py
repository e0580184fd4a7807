"""The released way: windows of 448 px with stride 144, of which the central 144 px are kept.

Eager PyTorch, float32, NCHW, one window after the other, with the weights of a network of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch

from histocerb.core.geometry import MARGIN_PX
from histocerb.core.tasks import CELL_PX, CERBERUS, HeadKind
from histocerb.models.config import RESNET34
from histocerb.models.network import Network, module_name

SIDE_PX = CELL_PX + 2 * MARGIN_PX
SETTLING_PX = SIDE_PX + CELL_PX
"""Side of an image to settle on."""
_SPREAD = 3.0
"""Standard deviation of logits over the pixels of an image to settle on."""
Cell = tuple[int, int]
"""(row, column) of a square of 144 px."""
Image = npt.NDArray[np.uint8]
Maps = dict[str, npt.NDArray[np.float32]]


def released_size_network(seed: int = 0) -> Network:
    """The network of the paper with random weights."""
    torch.manual_seed(seed)
    return Network(CERBERUS, RESNET34).eval()


def settle_on(network: Network, image: Image) -> None:
    """Fit statistics and the scale of logits to an image, so that random weights find something on it.

    Args:
        network: is changed.
        image: with whole cells, at least two, inside a margin of `MARGIN_PX`.
    """
    batch = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None]
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        network.train()(batch, margin_px=MARGIN_PX)
        logits = network.eval()(batch, margin_px=MARGIN_PX)
        for name, values in logits.items():
            decoder = network.decoders[module_name(name)]
            last = [layer for layer in decoder.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
            mean, spread = values.mean(dim=(0, 2, 3)), values.std(dim=(0, 2, 3))
            last.bias.copy_((last.bias - mean) * _SPREAD / spread)
            last.weight.mul_((_SPREAD / spread)[:, None, None, None])


def window_maps(network: Network, window: Image, device: str = "cpu") -> Maps:
    """Probabilities of the central cell of one window; the network is on the device."""
    batch = torch.from_numpy(window.transpose(2, 0, 1).astype(np.float32))[None].contiguous().to(device)
    with torch.no_grad():
        logits = network(batch, margin_px=MARGIN_PX)
    maps = {}
    for head in network.spec.heads:
        probs = logits[head.name].softmax(1)[0].permute(1, 2, 0).cpu().numpy()
        inner = slice(MARGIN_PX, -MARGIN_PX)
        maps[head.name] = probs if head.kind is HeadKind.PATCH else probs[inner, inner]
    return maps


def cell_maps(network: Network, mirrored: Image, cells: Iterable[Cell], shape: tuple[int, int]) -> Maps:
    """Maps of an image from windows of their own.

    Args:
        network: on the CPU.
        mirrored: the image with `MARGIN_PX` of mirrored context on each side and whole cells.
        cells: which to compute; others stay 0.
        shape: rows and columns of the image.
    """
    rows, columns = (-(-side // CELL_PX) for side in shape)
    maps: Maps = {
        head.name: np.zeros((rows * CELL_PX, columns * CELL_PX, len(head.channels)), np.float32)
        for head in network.spec.heads
        if head.kind is not HeadKind.PATCH
    }
    for row, column in cells:
        y, x = row * CELL_PX, column * CELL_PX
        found = window_maps(network, mirrored[y : y + SIDE_PX, x : x + SIDE_PX])
        for name, target in maps.items():
            target[y : y + CELL_PX, x : x + CELL_PX] = found[name]
    return {name: target[: shape[0], : shape[1]] for name, target in maps.items()}
