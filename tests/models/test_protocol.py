"""A model that is no `Network` goes through whole images, post-processing and evaluation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from histocerb.core.samples import ObjectLabels, Sample
from histocerb.core.tasks import CELL_PX, CERBERUS
from histocerb.models.config import EncoderConfig, NetworkConfig
from histocerb.models.network import Network
from histocerb.models.protocol import MapModel
from histocerb.models.whole_image import mirrored_maps
from histocerb.training.evaluation import evaluate

SPEC = CERBERUS.only(["nuclei.instance", "tissue.patch"])


class Darkness(nn.Module):
    """Nuclei are what is darker than a learned grey; cells are adipose (bright) or muscle."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = SPEC
        self.grey = nn.Parameter(torch.tensor(140.0))

    def forward(self, images: Tensor, margin_px: int = 0) -> dict[str, Tensor]:
        dark = self.grey - images.mean(1, keepdim=True)
        head = self.spec.task("tissue").heads[0]
        height, width = (side - 2 * margin_px for side in images.shape[-2:])
        inner = dark[:, :, margin_px : margin_px + height, margin_px : margin_px + width]
        cells = F.avg_pool2d(inner, CELL_PX)
        classes = [cells if name == "muscle" else -cells for name in head.channels]
        tissue = torch.cat(classes, 1) - 1000 * torch.tensor(
            [float(name not in ("muscle", "adipose")) for name in head.channels]
        ).reshape(1, -1, 1, 1)
        return {"nuclei.instance": torch.cat([-dark, dark, dark - 200], 1), head.name: tissue}


def _squares() -> Sample:
    ids = np.zeros((160, 200), np.int32)
    for number in range(1, 7):
        row, column = 20 + 60 * ((number - 1) // 3), 20 + 60 * ((number - 1) % 3)
        ids[row : row + 16, column : column + 16] = number
    image = np.where(ids[..., None] > 0, 60, 220).repeat(3, axis=-1).astype(np.uint8)
    labels = {"nuclei": ObjectLabels(ids, {})}
    return Sample(image, 0.5, labels, source="squares", patient="a", name="a")


def _patch(grey: int, name: str) -> Sample:
    image = np.full((CELL_PX, CELL_PX, 3), grey, np.uint8)
    return Sample(image, 0.5, patch_class=name, source="patches", patient=name, name=name)


def test_another_model_is_evaluated_like_a_network() -> None:
    model: MapModel = Darkness().eval()
    samples = [_squares(), _patch(230, "adipose"), _patch(60, "muscle")]
    document = evaluate(samples, lambda image: mirrored_maps(model, image), model.spec)
    (nuclei,) = (row["tasks"]["nuclei"] for row in document["images"] if "nuclei" in row["tasks"])
    assert nuclei["dq"] == 1
    assert nuclei["dice"] > 0.8
    assert document["summary"]["patches"]["tissue"]["accuracy"]["mean"] == 1


def test_maps_of_another_model_fit_the_image() -> None:
    maps = mirrored_maps(Darkness().eval(), _squares().image)
    assert maps["nuclei.instance"].shape == (160, 200, 3)
    assert maps["tissue.patch"].shape == (2, 2, 9)


def test_a_network_is_such_a_model() -> None:
    config = NetworkConfig(EncoderConfig((1, 1, 1), (16, 16, 16, 16), stem_stride=2), 8, 8)
    model: MapModel = Network(SPEC, config).eval()
    maps = mirrored_maps(model, _squares().image)
    assert {name: value.shape for name, value in maps.items()} == {
        "nuclei.instance": (160, 200, 3),
        "tissue.patch": (2, 2, 9),
    }
