"""What the engine asks of a device.

A window always goes through the network alone, never in a batch with others: kernels choose their order of
summation by shape, so that a batch would let the neighbours (and the batch setting) change last bits.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

HeadMaps = dict[str, npt.NDArray[Any]]
"""Arrays of one window per head name, without its margin."""


class Predictor(Protocol):
    """Runs windows through a network, one after the other."""

    @property
    def device(self) -> str:
        """What computes, in words: `cpu (OpenVINO)`, `cuda:0`."""
        ...

    def predict(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """Final maps of one window.

        Args:
            image: H x W x 3 uint8 RGB, sides multiples of 16.
            margin_px: context on each side that is cut off.

        Returns:
            Per head name, for the h x w px inside the margin: instance heads h x w x 2 uint8 (inside and
            contour, 255 is probability 1); type heads h x w uint8 (arg-max channel); patch heads
            rows x columns x C float32 per cell of 144 px.
        """
        ...

    def probabilities(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """Softmax of every channel: h x w x C float32 per head (rows x columns x C for patch heads)."""
        ...
