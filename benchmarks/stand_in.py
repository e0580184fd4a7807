"""A predictor without a network: maps that are a function of each pixel's colour alone.

For tests and measurements of the engine. White gives no object; the darker red, green and blue are, the more
probable are nuclei, glands and lumina, with a contour at medium values.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.core.tasks import CELL_PX, HeadKind, TaskSpec

Maps = dict[str, npt.NDArray[Any]]

_CONTOUR_PEAK, _CONTOUR_WIDTH = 120.0, 18.0


class StandInPredictor:
    """Colour channel i of the image is the inside probability of object task i, inverted."""

    device = "stand-in"

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        value = np.arange(256.0)[::-1]
        contour = 255 * np.exp(-(((value - _CONTOUR_PEAK) / _CONTOUR_WIDTH) ** 2))
        inside = np.where(value > _CONTOUR_PEAK, value, value / 2)
        self._tables = np.rint([inside, np.minimum(contour, 255 - inside)]).astype(np.uint8)

    def predict(self, image: npt.NDArray[np.uint8], margin_px: int) -> Maps:
        """See `histocerb.inference.protocol.Predictor.predict`."""
        height, width = image.shape[:2]
        return self.maps(image[margin_px : height - margin_px, margin_px : width - margin_px])

    def maps(self, image: npt.NDArray[np.uint8]) -> Maps:
        """The maps of an image of any size, without a margin."""
        planes = [np.ascontiguousarray(image[..., channel]) for channel in range(3)]
        found: Maps = {}
        for index, task in enumerate(self.spec.tasks):
            for head in task.heads:
                if head.kind is HeadKind.INSTANCE:
                    found[head.name] = cv2.merge([cv2.LUT(planes[index % 3], t) for t in self._tables])
                elif head.kind is HeadKind.TYPE:
                    classes = np.arange(256) * len(head.channels) // 256
                    found[head.name] = cv2.LUT(planes[(index + 1) % 3], classes.astype(np.uint8))
                else:
                    found[head.name] = self._cells(image, len(head.channels))
        return found

    def probabilities(self, image: npt.NDArray[np.uint8], margin_px: int) -> Maps:
        """See `histocerb.inference.protocol.Predictor.probabilities`."""
        maps = self.predict(image, margin_px)
        for head in self.spec.heads:
            found = maps[head.name]
            if head.kind is HeadKind.INSTANCE:
                background = 255 - found.sum(axis=2, keepdims=True, dtype=np.int16)
                maps[head.name] = np.concatenate([background, found], axis=2).astype(np.float32) / 255
            elif head.kind is HeadKind.TYPE:
                maps[head.name] = np.eye(len(head.channels), dtype=np.float32)[found]
        return maps

    def _cells(self, image: npt.NDArray[np.uint8], classes: int) -> npt.NDArray[np.float32]:
        """Probabilities from the mean colour of each whole cell."""
        rows, columns = image.shape[0] // CELL_PX, image.shape[1] // CELL_PX
        whole = image[: rows * CELL_PX, : columns * CELL_PX]
        sums = whole.reshape(rows, CELL_PX, columns * CELL_PX, 3).sum(axis=1, dtype=np.uint32)
        means = sums.reshape(rows, columns, CELL_PX, 3).sum(axis=2) / CELL_PX**2
        weights = np.stack(
            [1 + np.roll(means, c, axis=2) @ [1.0, 2.0 * c, 3.0] for c in range(classes)], axis=2
        )
        return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)
