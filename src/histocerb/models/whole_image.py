"""One forward pass over a whole image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from histocerb.core.geometry import MARGIN_PX
from histocerb.core.tasks import CELL_PX, HeadKind
from histocerb.models.protocol import MapModel

ProbabilityMaps = dict[str, npt.NDArray[np.float32]]
"""Per head name: H x W x C for pixel heads, rows x columns x C of cells for the patch head."""


def plain_maps(model: MapModel, image: npt.NDArray[np.uint8], margin_px: int = 0) -> ProbabilityMaps:
    """Probabilities of a window: the image without its margin.

    Args:
        model: in eval mode; the pass runs on its device.
        image: H x W x 3 uint8 RGB at the working resolution, sides multiples of 16.
        margin_px: context on each side that is cut off again.
    """
    parameter = next(model.parameters())
    batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
    batch = batch.to(parameter.device, torch.float32, memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = model(batch, margin_px=margin_px)
    maps: ProbabilityMaps = {}
    for head in model.spec.heads:
        probs = logits[head.name].float().softmax(1)[0].permute(1, 2, 0).cpu().numpy()
        inside = margin_px > 0 and head.kind is not HeadKind.PATCH
        maps[head.name] = probs[margin_px:-margin_px, margin_px:-margin_px] if inside else probs
    return maps


def mirrored_maps(model: MapModel, image: npt.NDArray[np.uint8]) -> ProbabilityMaps:
    """Probabilities of an image of any size in one pass, with its border mirrored as context.

    Tissue cells are all that the image touches.
    Memory grows with the image: for images of one or two thousand pixels, as in data sets.
    """
    height, width = image.shape[:2]
    below, right = (-side % CELL_PX for side in (height, width))
    padding = ((MARGIN_PX, MARGIN_PX + below), (MARGIN_PX, MARGIN_PX + right), (0, 0))
    maps = plain_maps(model, np.pad(image, padding, mode="symmetric"), MARGIN_PX)
    patch = model.spec.patch
    patch_heads = {head.name for head in patch.heads} if patch else set()
    return {name: value if name in patch_heads else value[:height, :width] for name, value in maps.items()}
