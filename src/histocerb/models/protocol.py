"""What the rest of the package asks of a model.

A `Network` is one; another architecture (a HoVer-Net, a MILD-Net) is one as soon as it names its heads and
gives their logits. Two other seams need no model at all: evaluation takes any function from an image to head
maps (`Predict` of `training.evaluation`), the slide engine any `Predictor` (`inference.protocol`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from torch import Tensor, nn

from histocerb.core.tasks import TaskSpec


class MapModel(Protocol):
    """A torch module from windows to the logits of named heads.

    Attributes:
        spec: its tasks: heads, classes, and how maps become objects.
    """

    spec: TaskSpec

    def __call__(self, images: Tensor, margin_px: int = 0) -> Mapping[str, Tensor]:
        """Logits per head name.

        Args:
            images: N x 3 x H x W float32, RGB 0..255, sides multiples of 16.
            margin_px: context around the part that will be kept; it only says where tissue cells begin.

        Returns:
            N x C x H x W for pixel heads (margin included), N x C x rows x columns of the cells of 144 px
            inside the margin for patch heads; C is `len(head.channels)`.
        """
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Its parameters; the first says on which device it is."""
        ...
