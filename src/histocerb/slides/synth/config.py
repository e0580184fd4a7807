"""What a synthetic slide is made of, and how it was stained and scanned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS, HeadKind, Task

NUCLEI: Task = CERBERUS.task_of_kind("nucleus")
GLANDS: Task = CERBERUS.task_of_kind("gland")
LUMINA: Task = CERBERUS.task_of_kind("lumen")


def _tissue_classes() -> tuple[str, ...]:
    assert CERBERUS.patch is not None
    head = CERBERUS.patch.head(HeadKind.PATCH)
    assert head is not None
    return head.classes


TISSUES: tuple[str, ...] = _tissue_classes()
"""Names of the tissue classes; `Tissue` gives their positions."""


class Tissue(IntEnum):
    """Positions in the classes of the patch head."""

    GLASS = 0
    ABNORMAL = 1
    NORMAL = 2
    INFLAMED = 3
    MUSCLE = 4
    STROMA = 5
    DEBRIS = 6
    MUCUS = 7
    FAT = 8


class Cell(IntEnum):
    """Positions in the classes of the nuclear type head."""

    NEUTROPHIL = 0
    EPITHELIAL = 1
    LYMPHOCYTE = 2
    PLASMA = 3
    EOSINOPHIL = 4
    CONNECTIVE = 5


DEFAULT_WEIGHTS: tuple[float, ...] = (0.08, 0.20, 0.18, 0.09, 0.10, 0.11, 0.08, 0.08, 0.08)


@dataclass(frozen=True)
class SynthConfig:
    """The mixture of tissues.

    Attributes:
        weights: share of each tissue class in the area, in the order of the patch head; any positive scale.
        site_px: typical side of a patch of one tissue, in pixels of 0.5 um.
        clean: no blur beyond the optics, no sensor noise, no JPEG.
    """

    weights: tuple[float, ...] = DEFAULT_WEIGHTS
    site_px: float = 720.0
    clean: bool = False

    def __post_init__(self) -> None:
        if len(self.weights) != len(TISSUES) or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise UsageError(
                f"expected {len(TISSUES)} non-negative weights, one per tissue class, found {self.weights}; "
                f"give them in this order: {', '.join(TISSUES)}"
            )
        if not 200.0 <= self.site_px <= 4000.0:
            raise UsageError(f"expected site_px between 200 and 4000, found {self.site_px}; use such a value")

    @classmethod
    def emphasise(cls, tissue: str, share: float = 0.6, site_px: float = 720.0) -> SynthConfig:
        """The default mixture with one tissue class taking `share` of the area."""
        if tissue not in TISSUES:
            raise UsageError(f"expected a tissue class, found {tissue!r}; choose one of {', '.join(TISSUES)}")
        chosen = TISSUES.index(tissue)
        rest = sum(w for k, w in enumerate(DEFAULT_WEIGHTS) if k != chosen)
        scaled = [w / rest * (1.0 - share) for w in DEFAULT_WEIGHTS]
        scaled[chosen] = share
        return cls(weights=tuple(scaled), site_px=site_px)


@dataclass(frozen=True)
class Appearance:
    """Stain, optics and scanner of one slide; a function of the seed.

    Attributes:
        stains: 3 x 3, optical density in R, G, B of a unit of haematoxylin, eosin and red (blood, granules).
        glass: R, G, B of the empty background, 0..1.
        blur_px: sigma of the optics.
        defocus_px: sigma where the tissue is out of focus.
        defocus_share: rough share of the area out of focus.
        grain: SD of the sensor noise, grey levels.
        jpeg_quality: of the encoder; 0 for none.
        nuclear_size: factor on nuclear diameters.
        contrast: factor on the chromatin's density.
        mottle: SD of the unevenness of the stain.
    """

    stains: tuple[tuple[float, float, float], ...]
    glass: tuple[float, float, float]
    blur_px: float
    defocus_px: float
    defocus_share: float
    grain: float
    jpeg_quality: int
    nuclear_size: float
    contrast: float
    mottle: float


_PALETTES: npt.NDArray[np.float64] = np.array(
    [
        [[0.42, 0.86, 0.27], [0.11, 0.96, 0.25]],
        [[0.52, 0.76, 0.40], [0.20, 0.87, 0.45]],
        [[0.60, 0.74, 0.31], [0.24, 0.93, 0.20]],
        [[0.66, 0.70, 0.28], [0.08, 0.95, 0.20]],
        [[0.58, 0.72, 0.40], [0.13, 0.90, 0.40]],
    ]
)
"""Directions of haematoxylin and eosin in optical density, as met in public colon images."""


def appearance(seed: int, clean: bool) -> Appearance:
    """Draw stain, optics and scanner for a slide."""
    rng = np.random.default_rng([seed, 7])
    mixture = rng.dirichlet(np.full(len(_PALETTES), 0.35))
    vectors = np.tensordot(mixture, _PALETTES, axes=1) + rng.normal(0.0, 0.025, (2, 3))
    vectors = np.clip(vectors, 0.03, None)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strength = np.exp(rng.normal([0.12, 0.06], [0.22, 0.27]))
    red = np.array([0.16, 0.72, 0.62]) + rng.normal(0.0, 0.04, 3)
    stains = np.vstack([vectors * strength[:, None], np.clip(red, 0.05, None) * strength[1]])
    brightness = rng.uniform(0.93, 1.0)
    glass = np.clip(brightness - rng.uniform(0.0, 0.035, 3), 0.0, 1.0)
    return Appearance(
        stains=tuple((float(r), float(g), float(b)) for r, g, b in stains),
        glass=(float(glass[0]), float(glass[1]), float(glass[2])),
        blur_px=0.55 if clean else float(rng.uniform(0.45, 1.05)),
        defocus_px=float(rng.uniform(1.4, 2.6)),
        defocus_share=0.0 if clean else float(rng.choice([0.0, 0.0, 0.08, 0.2])),
        grain=0.0 if clean else float(rng.uniform(0.5, 3.5)),
        jpeg_quality=0 if clean else int(rng.integers(60, 96)),
        nuclear_size=float(np.exp(rng.normal(0.0, 0.13))),
        contrast=float(np.exp(rng.normal(0.0, 0.15))),
        mottle=float(rng.uniform(0.08, 0.30)),
    )
