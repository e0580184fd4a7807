"""A model that needs no training: what is dark is a nucleus, what is blue a gland, the rest is stroma."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from histocerb.cli.main import main
from histocerb.core.tasks import CELL_PX, CERBERUS

STROMA = CERBERUS.patch.classes.index("stroma")


class ColourPredictor:
    """Speaks the protocol of `histocerb.inference.predictor.Predictor`."""

    device = "colours"

    def predict(self, image, margin_px):
        inner = image[margin_px : image.shape[0] - margin_px, margin_px : image.shape[1] - margin_px]
        nucleus = inner.max(axis=2) < 120
        gland = nucleus | (inner[..., 2] > inner[..., 0].astype(int) + 40)
        nothing = np.zeros_like(nucleus)
        masks = {"nuclei.instance": nucleus, "gland.instance": gland, "lumen.instance": nothing}
        maps = {name: np.stack([mask, nothing], axis=2) * np.uint8(255) for name, mask in masks.items()}
        maps["nuclei.type"] = nucleus * np.uint8(3)
        maps["gland.type"] = gland * np.uint8(1)
        cells = np.zeros((inner.shape[0] // CELL_PX, inner.shape[1] // CELL_PX, 9), np.float32)
        cells[..., STROMA] = 1
        maps["tissue.patch"] = cells
        return maps

    def probabilities(self, image, margin_px):
        found = {}
        for head in CERBERUS.heads:
            value = self.predict(image, margin_px)[head.name]
            if value.ndim == 2:
                value = np.eye(len(head.channels), dtype=np.float32)[value]
            elif head.kind == "instance":
                value = np.concatenate([255 - value.max(2, keepdims=True), value], axis=2) / np.float32(255)
            found[head.name] = value
        return found


@pytest.fixture
def colour_model(monkeypatch):
    """`load_model` and everything above it use the colour model; nothing is loaded from disk."""
    from histocerb import api
    from histocerb.inference.manifest import RunningModel

    def load_model(name="default", device="auto", precision="auto", batch="auto"):
        del device, precision, batch
        return api.Model(RunningModel(str(name), "0" * 64, CERBERUS, ColourPredictor()))

    monkeypatch.setattr(api, "load_model", load_model)


@pytest.fixture
def picture(tmp_path) -> Path:
    """A 300 x 260 px image at 0.5 um/px with a gland of 80 x 60 px, and 3 nuclei, one of them inside."""
    pixels = np.full((260, 300, 3), 255, np.uint8)
    pixels[20:240, 20:280] = (230, 150, 190)
    pixels[60:120, 50:130] = (120, 120, 220)
    for y, x in ((80, 80), (180, 60), (200, 220)):
        pixels[y : y + 12, x : x + 10] = (60, 40, 90)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture
def cli(capfd):
    """Runs a command line; gives its exit status and what it printed."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return call
