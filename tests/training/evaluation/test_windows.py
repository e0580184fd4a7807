from __future__ import annotations

import cv2
import numpy as np
import pytest

from histocerb.core.tasks import CELL_PX, CERBERUS, HeadKind
from histocerb.inference.maps import predict_maps
from histocerb.training.evaluation.windows import LENGTHS_PX, window_maps

REACH_PX = 61


class Blur:
    """A network that sees 30 px around a pixel; it remembers the windows that it was given."""

    def __init__(self):
        self.shapes = []

    def probabilities(self, image, margin_px):
        self.shapes.append(image.shape[:2])
        grey = image[..., 0].astype(np.float32) / 255
        inner = cv2.blur(grey, (REACH_PX, REACH_PX))[margin_px:-margin_px, margin_px:-margin_px]
        rows, columns = (side // CELL_PX for side in inner.shape)
        cells = inner[: rows * CELL_PX, : columns * CELL_PX]
        cells = cells.reshape(rows, CELL_PX, columns, CELL_PX).mean((1, 3))
        return {
            head.name: np.repeat(
                (cells if head.kind is HeadKind.PATCH else inner)[..., None], len(head.channels), 2
            )
            for head in CERBERUS.heads
        }


@pytest.mark.parametrize(
    "shape", [(40, 30), (144, 145), (500, 500), (300, 1100), (1024, 1024), (1500, 700), (2017, 60)]
)
def test_equal_to_predict_with_less_work(shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    cut, full = Blur(), Blur()
    found, expected = window_maps(image, cut.probabilities, CERBERUS), predict_maps(image, full, CERBERUS)
    for name, value in expected.items():
        assert found[name].shape == value.shape
        np.testing.assert_allclose(found[name], value, atol=1e-6)
    work = [sum(np.prod(shape) for shape in one.shapes) for one in (cut, full)]
    assert work[0] <= work[1]
    assert all(side % 16 == 0 for shape in cut.shapes for side in shape)


def test_few_sizes_and_much_less_for_an_image_just_above_a_window():
    rng = np.random.default_rng(1)
    cut, full = Blur(), Blur()
    for side in (1024, 1100, 1400, 1900):
        image = rng.integers(0, 255, (side, side, 3)).astype(np.uint8)
        window_maps(image, cut.probabilities, CERBERUS)
        if side == 1024:
            predict_maps(image, full, CERBERUS)
            assert sum(map(np.prod, cut.shapes)) < 0.5 * sum(map(np.prod, full.shapes))
    assert len(set(cut.shapes)) <= len(LENGTHS_PX) ** 2
