"""From the share of an object's pixels that agree on its class to the probability that the class is right.

Pixels of one object err together, so that their agreement promises too much. Temperature scaling (Guo et
al., "On calibration of modern neural networks", ICML 2017) divides the logit of the share by a temperature
that is fitted on objects of known class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

SURE = 0.99
"""Shares beyond it (and below 1 - `SURE`) count as this: a logit of 1 would be infinite."""

DECIMALS = 4
"""Of a probability, so that it is the same whatever computes logarithms."""


def calibrated(share: npt.NDArray[np.floating[Any]], temperature: float) -> npt.NDArray[np.float32]:
    """Probability of the class of each object; 0, of objects without class, stays 0.

    Args:
        share: N, 0 to 1.
        temperature: above 0; 1 leaves shares as they are.
    """
    if temperature == 1:
        return share.astype(np.float32)
    probability = tempered(share_logit(share), temperature).round(DECIMALS)
    return np.where(share > 0, probability, 0).astype(np.float32)


def share_logit(share: npt.NDArray[np.floating[Any]]) -> Float64:
    """log(p / (1 - p)) of shares within 1 - `SURE` to `SURE`."""
    inside = np.clip(share.astype(np.float64), 1 - SURE, SURE)
    return np.asarray(np.log(inside / (1 - inside)))


def tempered(logit: Float64, temperature: float) -> Float64:
    """Probabilities of logits that are divided by the temperature."""
    return np.asarray(1 / (1 + np.exp(-logit / temperature)))
