"""Random views of an image: where a crop lies (labels follow) and how its colours look (they do not)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.compiled import compiled
from histocerb.core.config_file import STRICT
from histocerb.core.errors import UsageError
from histocerb.data.warp import Matrix

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class AugmentParams:
    """Strengths of the augmentation; a probability of 0 switches a part off.

    The defaults go beyond the paper's list (flip, rotation, blur, colour), by scale and stains; those of its
    experiments are in `configs/paper/base.toml`.

    Attributes:
        dihedral: flips and right-angle turns, all eight equally likely.
        warp_prob: how often a crop is turned freely and scaled.
        max_angle_deg: free turn to either side.
        scale_range: magnification from 1 / (1 + x) to 1 + x.
        blur_prob: how often a crop is blurred, one time in two each by a Gaussian and a median.
        gaussian_sigma_px: largest sigma.
        median_px: largest window of the median: 3 or 5.
        colour_prob: how often hue, saturation, brightness and contrast are changed.
        hue_deg: largest change of hue, of 360.
        saturation, brightness, contrast: largest relative change.
        stain_prob: how often the amounts of haematoxylin, eosin and a third stain are changed.
        stain_scale: largest relative change of an amount.
        stain_shift: largest amount added or taken, in optical density.
        ink_prob: how often dark blots (marking ink, pigment, folds) cover parts of a crop; objects that are
            mostly covered vanish from its labels.
        ink_share: largest part of a crop that is covered.
    """

    __pydantic_config__ = STRICT

    dihedral: bool = True
    warp_prob: float = 0.5
    max_angle_deg: float = 45.0
    scale_range: float = 0.2
    blur_prob: float = 0.2
    gaussian_sigma_px: float = 1.5
    median_px: int = 3
    colour_prob: float = 0.5
    hue_deg: float = 10.0
    saturation: float = 0.2
    brightness: float = 0.1
    contrast: float = 0.15
    stain_prob: float = 0.5
    stain_scale: float = 0.25
    stain_shift: float = 0.03
    ink_prob: float = 0.0
    ink_share: float = 0.35

    def __post_init__(self) -> None:
        for name in ("warp_prob", "blur_prob", "colour_prob", "stain_prob", "ink_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"expected a {name} from 0 to 1, found {getattr(self, name)}; change it")
        if self.median_px not in (3, 5):
            raise UsageError(f"expected a median_px of 3 or 5, found {self.median_px}; change it")


NO_AUGMENTATION = AugmentParams(dihedral=False, warp_prob=0.0, blur_prob=0.0, colour_prob=0.0, stain_prob=0.0)
"""Random crops as they are."""

_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density (R, G, B) of haematoxylin, eosin and DAB (Ruifrok and Johnston 2001)."""


def place(rng: np.random.Generator, shape: tuple[int, int], side: int, params: AugmentParams) -> Matrix:
    """2 x 3 matrix from points of a side x side crop to points of an image of `shape` (rows, columns).

    The crop lies within the image where it fits. Unless it is turned freely or scaled, its pixels are the
    image's, unchanged.
    """
    linear = np.eye(2)
    if params.dihedral:
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        linear = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), turns)
        linear = linear * [-1.0, 1.0] if mirror else linear
    if rng.random() < params.warp_prob:
        angle = np.deg2rad(rng.uniform(-1, 1) * params.max_angle_deg)
        log_scale = rng.uniform(-1, 1) * np.log1p(params.scale_range)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = linear @ turn / np.exp(log_scale)
    half = np.abs(linear).sum(1) * side / 2  # of the crop's bounding box in the image, (x, y)
    room = np.array(shape[::-1]) - 2 * half
    # A crop that is larger than the image covers all of it, mirrored around.
    corner = np.round(rng.uniform(np.minimum(room, 0), np.maximum(room, 0)))
    centre = corner + half
    return np.column_stack([linear, centre - linear @ np.array([side / 2, side / 2])])


def restyle(rng: np.random.Generator, image: UInt8, params: AugmentParams) -> UInt8:
    """H x W x 3 uint8 RGB with other stains, colours and sharpness."""
    if rng.random() < params.stain_prob:
        scale = 1 + rng.uniform(-1, 1, 3) * params.stain_scale
        image = stain(image, scale, rng.uniform(-1, 1, 3) * params.stain_shift)
    if rng.random() < params.colour_prob:
        image = _colour(rng, image, params)
    if rng.random() < params.blur_prob:
        if rng.random() < 0.5:
            sigma = max(0.1, rng.uniform(0, 1) * params.gaussian_sigma_px)
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
        else:
            window = int(rng.integers(1, params.median_px // 2 + 1)) * 2 + 1
            image = np.asarray(cv2.medianBlur(image, window), np.uint8)
    return image


def stain(image: UInt8, scale: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]) -> UInt8:
    """The image with the amount of each of three stains times `scale` plus `shift` (Beer-Lambert)."""
    mix = np.linalg.inv(_STAINS) @ np.diag(scale) @ _STAINS
    out = np.empty_like(image)
    _remix(image, mix.astype(np.float32), (shift @ _STAINS).astype(np.float32), _DENSITY, _LIGHT, out)
    return out


_DENSITY = (-np.log((np.arange(256) + 1) / 256)).astype(np.float32)
"""Optical density of each grey value; finite for 0."""

_PER_DENSITY = 512
_LIGHT = np.clip(np.round(256 * np.exp(-np.arange(6 * _PER_DENSITY) / _PER_DENSITY) - 1), 0, 255).astype(
    np.uint8
)
"""Grey value of each optical density, in steps of 1 / 512 up to 6."""


@compiled
def _remix(
    image: UInt8,
    mix: npt.NDArray[np.float32],
    shift: npt.NDArray[np.float32],
    density: npt.NDArray[np.float32],
    light: UInt8,
    out: UInt8,
) -> None:
    """Out = light(density(image) @ mix + shift), pixel by pixel."""
    last = len(light) - 1
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            r = density[image[row, column, 0]]
            g = density[image[row, column, 1]]
            b = density[image[row, column, 2]]
            for k in range(3):
                d = r * mix[0, k] + g * mix[1, k] + b * mix[2, k] + shift[k]
                out[row, column, k] = light[
                    min(last, max(0, int(d * np.float32(_PER_DENSITY) + np.float32(0.5))))
                ]


def _colour(rng: np.random.Generator, image: UInt8, params: AugmentParams) -> UInt8:
    hue = rng.uniform(-1, 1) * params.hue_deg / 2  # OpenCV's unit: 0..179
    saturation = 1 + rng.uniform(-1, 1) * params.saturation
    contrast = 1 + rng.uniform(-1, 1) * params.contrast
    brightness = rng.uniform(-1, 1) * params.brightness * 255
    grey = np.arange(256, dtype=np.float64)
    table = np.stack(
        [
            (grey + hue) % 180,
            grey * saturation,
            (grey - 128) * contrast + 128 + brightness,
        ],
        axis=-1,
    )
    table = np.clip(np.round(table), 0, [179, 255, 255]).astype(np.uint8)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table[None])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
