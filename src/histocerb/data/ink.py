"""Dark blots over a crop, as marking ink, pigment and folds leave them: they are no nuclei."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.data.augment import AugmentParams

Mask = npt.NDArray[np.bool_]

_COVERED = 0.5
"""Objects of which more than this part is covered are left out of the labels."""


def blot(rng: np.random.Generator, side: int, params: AugmentParams) -> Mask | None:
    """Side x side: where ink covers the crop; None for a clean one (1 - `params.ink_prob` of them).

    Coarse noise gives the shape of the blots, finer noise their ragged edge and, sometimes, their grain.
    """
    if rng.random() >= params.ink_prob:
        return None
    coarse = _noise(rng, side, int(rng.integers(3, 9)))
    grain = rng.uniform(0.05, 0.45)
    height = coarse + grain * _noise(rng, side, max(9, side // int(rng.integers(4, 13))))
    return np.asarray(height > np.quantile(height, 1 - rng.uniform(0.03, 1) * params.ink_share))


def ink(rng: np.random.Generator, image: npt.NDArray[np.uint8], where: Mask) -> npt.NDArray[np.uint8]:
    """The H x W x 3 image with a dark colour over the mask, of soft edge and uneven strength."""
    tint = rng.uniform(5, 75) + rng.uniform(-25, 25, 3)
    strength = cv2.GaussianBlur(where.astype(np.float32), (0, 0), rng.uniform(0.5, 1.5))
    strength = strength * (1 - rng.uniform(0, 0.25) * _noise(rng, len(where), max(9, len(where) // 8)))
    inked = image + (np.clip(tint, 0, 110) - image) * np.clip(strength, 0, 1)[..., None]
    return np.asarray(np.clip(np.round(inked), 0, 255), np.uint8)


def without_covered(ids: npt.NDArray[Any], where: Mask) -> npt.NDArray[Any]:
    """The H x W ids without the objects that are mostly under the mask; others keep all their pixels."""
    flat = ids.ravel()
    present, place = np.unique(flat, return_inverse=True)
    covered = np.bincount(place.ravel(), weights=where.ravel(), minlength=len(present))
    gone = covered > _COVERED * np.bincount(place.ravel(), minlength=len(present))
    return np.asarray(np.where(gone, 0, present)[place].astype(ids.dtype).reshape(ids.shape))


def _noise(rng: np.random.Generator, side: int, cells: int) -> npt.NDArray[np.float32]:
    """Side x side smooth noise, mostly within 0..1, of so many cells a side."""
    field = rng.random((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
