from __future__ import annotations

import numpy as np

from histocerb.core.geometry import Region
from histocerb.core.tasks import CERBERUS
from histocerb.metrics.matching import match
from histocerb.metrics.segmentation import dice, panoptic_quality
from histocerb.models.checkpoint import PACKAGED, load_checkpoint, packaged_models
from histocerb.models.whole_image import mirrored_maps
from histocerb.postproc import postprocess
from histocerb.slides.synth import SynthSlide

MIB = 1024 * 1024


def test_the_default_model_is_small_and_has_a_card() -> None:
    assert "default" in packaged_models()
    folder = PACKAGED / "default"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 12 * MIB
    card = (folder / "MODEL_CARD.md").read_text()
    assert "research use" in card.lower()


def test_the_default_model_has_learned_something() -> None:
    """Far below what it reaches on average, far above chance; on a synthetic square it was not trained on."""
    checkpoint = load_checkpoint("default")
    spec = checkpoint.network.spec
    assert spec.heads == CERBERUS.heads
    region = Region(0, 0, 512, 512)
    slide = SynthSlide(512, 512, seed=79)
    truth = slide.truth(region).objects
    found = postprocess(mirrored_maps(checkpoint.network, slide.read(region, 0.5)), spec)
    ids = found["nuclei"].label_image((512, 512))
    assert dice(truth["nuclei"].ids > 0, ids > 0) > 0.6
    assert panoptic_quality(match(truth["nuclei"].ids, ids)).pq > 0.3
    assert np.ptp(found["nuclei"].class_code) > 0
