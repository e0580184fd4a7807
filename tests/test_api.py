import numpy as np
import pytest

from histocerb.api import Model
from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.inference.manifest import RunningModel


class NeverAsked:
    device = "none"


class SaysMargin:
    """A predictor whose maps are the margin it was asked for, and the negative of that."""

    device = "none"

    def probabilities(self, image, margin_px):
        return {"margin": np.array([margin_px, -margin_px])}


@pytest.mark.parametrize(
    ("image", "margin_px", "sentence"),
    [
        (np.zeros((16, 16, 3), np.uint8).tolist(), None, "found list"),
        (np.zeros((16, 16, 3)), None, "found float64"),
        (np.zeros((16, 16), np.uint8), None, r"found uint8 \(16, 16\)"),
        (np.zeros((16, 17, 3), np.uint8), 0, "pad to 32 x 16"),
        (np.zeros((64, 448, 3), np.uint8), 32, "below half the shorter side of 448 x 64, found 32"),
        (np.zeros((64, 448, 3), np.uint8), -16, "whole number from 0 .* found -16"),
        (np.zeros((64, 448, 3), np.uint8), 2.5, "whole number from 0 .* found 2.5"),
        (np.zeros((64, 448, 3), np.uint8), "0", "whole number from 0 .* found '0'"),
    ],
)
def test_other_images_are_refused(image, margin_px, sentence):
    model = Model(RunningModel("none", "0" * 64, CERBERUS, NeverAsked()))
    with pytest.raises(UsageError, match=sentence):
        model.predict(image, margin_px)


@pytest.mark.parametrize("margin_px", [0, 31, np.int64(31), np.uint8(31)])
def test_whole_margins_are_taken(margin_px):
    model = Model(RunningModel("none", "0" * 64, CERBERUS, SaysMargin()))
    found = model.predict(np.zeros((64, 448, 3), np.uint8), margin_px)
    assert found["margin"].tolist() == [int(margin_px), -int(margin_px)]
