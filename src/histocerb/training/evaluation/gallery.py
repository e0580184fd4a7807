"""Pictures of the best and the worst images of a task, kept while images pass by."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from histocerb.core.instances import InstanceTable
from histocerb.core.samples import Sample
from histocerb.metrics.quality import ImageQuality
from histocerb.metrics.segmentation import panoptic_quality
from histocerb.training.evaluation.pictures import draw, outcome

_QUALITY = 88


@dataclass(frozen=True)
class Shot:
    """One image of one task.

    Attributes:
        key: `source/name` of the image.
        pq: panoptic quality.
        jpeg: the picture as a file.
    """

    key: str
    pq: float
    jpeg: bytes


@dataclass
class Gallery:
    """Remembers the best and worst images by PQ; its `watch` is one of `evaluate`.

    Attributes:
        most: pictures of either kind and task.
        shots: candidates per task, in order of PQ.
    """

    most: int
    shots: dict[str, list[Shot]] = field(default_factory=dict)

    def watch(
        self, sample: Sample, tables: Mapping[str, InstanceTable], qualities: Mapping[str, ImageQuality]
    ) -> None:
        """Draw an image if it is among the best or worst so far."""
        for task, quality in qualities.items():
            if quality.outlined is None or not self.most:
                continue
            pq = panoptic_quality(quality.outlined.overlaps).pq
            shots = self.shots.setdefault(task, [])
            if math.isnan(pq) or not self._is_wanted(shots, pq):
                continue
            truth = sample.objects[task].ids
            found = tables[task].label_image((truth.shape[0], truth.shape[1]))
            key = f"{sample.source}/{sample.name}"
            result = outcome(truth, found, quality.outlined.overlaps)
            picture = draw(sample.image, result, f"{key}: {task}, PQ {pq:.3f}")
            shots.append(Shot(key, pq, _jpeg(picture)))
            shots.sort(key=lambda shot: (shot.pq, shot.key))
            del shots[self.most : -self.most]

    def _is_wanted(self, shots: list[Shot], pq: float) -> bool:
        return len(shots) < 2 * self.most or pq < shots[self.most - 1].pq or pq > shots[-self.most].pq

    def worst(self, task: str) -> list[Shot]:
        """The worst images, the worst first; at most half of those that there are."""
        shots = self.shots.get(task, [])
        return shots[: min(self.most, (len(shots) + 1) // 2)]

    def best(self, task: str) -> list[Shot]:
        """The best images that are not among the worst, the best first."""
        shots = self.shots.get(task, [])
        return shots[: len(self.worst(task)) - 1 : -1][: self.most]


def _jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()
